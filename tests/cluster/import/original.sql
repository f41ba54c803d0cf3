-- A database as the original b3scale leaves it: schema version 2, with sessions in the time zone of New York.

DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''America/New_York''', current_database()); END $$;
SET timezone = 'America/New_York';

CREATE TYPE instance_state AS ENUM ('init', 'ready', 'error', 'stopped', 'decommissioned');
CREATE TYPE command_state AS ENUM ('requested', 'running', 'success', 'error');

CREATE TABLE backends (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    node_state      instance_state NOT NULL DEFAULT 'init',
    admin_state     instance_state NOT NULL DEFAULT 'stopped',
    agent_heartbeat timestamp NOT NULL DEFAULT '2000-01-01 00:00:00',
    latency         bigint NOT NULL DEFAULT 0,
    meetings_count  int NOT NULL DEFAULT 0,
    attendees_count int NOT NULL DEFAULT 0,
    load_factor     real NOT NULL DEFAULT 1.0,
    last_error      text,
    host            text NOT NULL UNIQUE,
    secret          text NOT NULL,
    settings        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamp NOT NULL DEFAULT now(),
    updated_at      timestamp NOT NULL DEFAULT now(),
    synced_at       timestamp NOT NULL DEFAULT now(),
    agent_ref       varchar(64) UNIQUE
);

CREATE TABLE frontends (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key         text NOT NULL UNIQUE,
    secret      text NOT NULL,
    account_ref varchar(80),
    settings    jsonb NOT NULL DEFAULT '{}',
    active      bool NOT NULL DEFAULT true,
    created_at  timestamp NOT NULL DEFAULT now(),
    updated_at  timestamp NOT NULL DEFAULT now(),
    synced_at   timestamp NOT NULL DEFAULT now()
);
CREATE INDEX frontends_by_account ON frontends USING hash (account_ref);

CREATE TABLE frontend_meetings (
    frontend_id uuid NOT NULL REFERENCES frontends ON DELETE CASCADE,
    meeting_id  varchar(255) NOT NULL UNIQUE,
    seen_at     timestamp NOT NULL DEFAULT now()
);

CREATE TABLE meetings (
    id          varchar(255) PRIMARY KEY,
    internal_id varchar(255) UNIQUE,
    state       jsonb NOT NULL,
    frontend_id uuid REFERENCES frontends ON DELETE CASCADE,
    backend_id  uuid REFERENCES backends ON DELETE SET NULL,
    created_at  timestamp NOT NULL DEFAULT now(),
    updated_at  timestamp NOT NULL DEFAULT now(),
    synced_at   timestamp NOT NULL DEFAULT now()
);

CREATE TABLE recordings (
    record_id           varchar(255) PRIMARY KEY,
    state               jsonb NOT NULL,
    text_track_states   jsonb NOT NULL DEFAULT '[]',
    frontend_id         uuid NOT NULL REFERENCES frontends ON DELETE CASCADE,
    meeting_id          varchar(255) NOT NULL,
    internal_meeting_id varchar(255) NOT NULL,
    created_at          timestamp NOT NULL DEFAULT now(),
    updated_at          timestamp NOT NULL DEFAULT now(),
    synced_at           timestamp NOT NULL DEFAULT now()
);
CREATE INDEX ON recordings (meeting_id);
CREATE INDEX ON recordings (internal_meeting_id);

CREATE TABLE commands (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    seq        serial,
    state      command_state NOT NULL DEFAULT 'requested',
    action     varchar(80) NOT NULL,
    params     json,
    result     json,
    deadline   timestamp NOT NULL,
    started_at timestamp,
    stopped_at timestamp,
    created_at timestamp NOT NULL DEFAULT now()
);

CREATE TABLE __meta__ (
    version     int NOT NULL UNIQUE,
    description text NOT NULL,
    applied_at  timestamp NOT NULL DEFAULT now()
);
INSERT INTO __meta__ (version, description) VALUES (1, 'initial tables'), (2, 'node agent api');

-- Times that PostgreSQL wrote are those of New York: 08:00 is 12:00 or 13:00 in UTC. Those of Go are UTC, or its zero.
INSERT INTO frontends (id, key, secret, account_ref, settings, active, created_at, updated_at) VALUES
    ('00000000-0000-0000-0000-0000000000f1', 'school', 'frontend-secret', 'customer-1', '{
        "required_tags": ["eu"], "default_presentation": {"url": "https://slides.example/a.pdf", "force": true},
        "attendees_limit": {"limit": 40}, "create_default_params": {"logo": "x"},
        "create_override_params": {"record": "false"}, "join_default_params": null,
        "recordings": {"visibility_override": "public_protected"}, "theirs": {"new": 1}}', true,
        '2024-07-01 08:00:00', '0001-01-01 00:00:00'),
    ('00000000-0000-0000-0000-0000000000f2', 'academy', 'other-secret', NULL, '{}', false, '2024-01-01 08:00:00', now()),
    ('00000000-0000-0000-0000-0000000000f3', 'museum', 'third-secret', '', '{"required_tags": null}', true,
        '0001-01-01 00:00:00', now()),
    ('00000000-0000-0000-0000-0000000000f4', 'nobody', '', NULL, 'null', true, now(), now());

INSERT INTO backends (id, node_state, admin_state, load_factor, host, secret, settings, agent_ref, created_at, synced_at) VALUES
    ('00000000-0000-0000-0000-0000000000b1', 'ready', 'ready', 1.1, 'https://n1.example/bigbluebutton/api', 'n1',
        '{"tags": ["eu", "gpu"], "theirs": 1}', 'agent-1', '2024-07-01 08:00:00', '0001-01-01 00:00:00'),
    ('00000000-0000-0000-0000-0000000000b2', 'error', DEFAULT, 0, 'https://n2.example/bigbluebutton/api/', 'n2',
        '{"tags": null}', NULL, '0001-01-01 00:00:00', now()),
    ('00000000-0000-0000-0000-0000000000b3', 'init', 'decommissioned', DEFAULT, 'http://n3.example/', 'n3', DEFAULT, NULL,
        '2024-01-01 08:00:00', now()),
    ('00000000-0000-0000-0000-0000000000b4', 'error', 'error', DEFAULT, 'http://n4.example/', 'n4', 'null', NULL,
        '2024-01-01 08:00:00', now()),
    ('00000000-0000-0000-0000-0000000000b5', 'init', 'ready', DEFAULT, 'http', 'n5', DEFAULT, NULL, now(), now());

-- The ids are those of `m 1` and `m 2` of the school, and of `m 1` of the academy.
INSERT INTO frontend_meetings (frontend_id, meeting_id, seen_at) VALUES
    ('00000000-0000-0000-0000-0000000000f1', 'WyJzY2hvb2wiLCJtIDEiLCJiM3NjbCJd', '2024-07-01 08:00:00'),
    ('00000000-0000-0000-0000-0000000000f1', 'WyJzY2hvb2wiLCJtIDIiLCJiM3NjbCJd', '2024-07-01 08:00:00'),
    ('00000000-0000-0000-0000-0000000000f2', 'WyJhY2FkZW15IiwibSAxIiwiYjNzY2wiXQ==', '2024-01-01 08:00:00'),
    ('00000000-0000-0000-0000-0000000000f4', 'WyJub2JvZHkiLCJtIDEiLCJiM3NjbCJd', now());

INSERT INTO meetings (id, internal_id, state, frontend_id, backend_id, updated_at) VALUES
    ('WyJzY2hvb2wiLCJtIDEiLCJiM3NjbCJd', 'internal-1', '{"MeetingID": "WyJzY2hvb2wiLCJtIDEiLCJiM3NjbCJd",
        "InternalMeetingID": "internal-1", "CreateTime": 1719835200000, "Running": true, "IsBreakout": false,
        "Metadata": null, "Attendees": [null], "BreakoutRooms": null, "Breakout": null}',
        '00000000-0000-0000-0000-0000000000f1', '00000000-0000-0000-0000-0000000000b1', '0001-01-01 00:00:00'),
    ('WyJhY2FkZW15IiwibSAxIiwiYjNzY2wiXQ==', NULL, 'null',
        '00000000-0000-0000-0000-0000000000f2', '00000000-0000-0000-0000-0000000000b2', now()),
    ('breakout-of-ours', 'internal-3', '{"IsBreakout": true, "CreateTime": 1719835200001}',
        '00000000-0000-0000-0000-0000000000f1', '00000000-0000-0000-0000-0000000000b1', now()),
    ('breakout', 'internal-4', '{"IsBreakout": true}', NULL, '00000000-0000-0000-0000-0000000000b1', now()),
    ('WyJzY2hvb2wiLCJtIDMiLCJiM3NjbCJd', 'internal-5', '{}', '00000000-0000-0000-0000-0000000000f1', NULL, now());

INSERT INTO recordings (record_id, state, frontend_id, meeting_id, internal_meeting_id, created_at) VALUES
    ('r-1719835200000', '{"XMLName": {"Space": "", "Local": ""}, "RecordID": "r-1719835200000",
        "MeetingID": "WyJzY2hvb2wiLCJtIDEiLCJiM3NjbCJd", "InternalMeetingID": "DEPRECATED:m", "Name": "Biology",
        "IsBreakout": false, "Published": true, "State": "published", "StartTime": 1719835200000, "EndTime": 1719838800000,
        "Participants": 3, "Metadata": {"meetingName": "Biology", "meetingId": "WyJzY2hvb2wiLCJtIDEiLCJiM3NjbCJd",
        "gl-listed": "true", "protect": "true", "b3s-frontend": "school"}, "Formats": [{"Type": "presentation",
        "URL": "https://n1.example/playback/presentation/2.3/r-1719835200000", "ProcessingTime": 5000, "Length": 60,
        "Preview": {"Images": {"All": [{"Alt": "Thumbnail 01", "Height": 136, "Width": 176,
        "URL": "presentation/r-1719835200000/presentation/d2/thumbnails/thumb-1.png"}]}}}]}',
        '00000000-0000-0000-0000-0000000000f1', 'WyJzY2hvb2wiLCJtIDEiLCJiM3NjbCJd', 'DEPRECATED:m', '2024-07-01 08:00:00'),
    ('r-1719835200001', '{}', '00000000-0000-0000-0000-0000000000f2', 'WyJhY2FkZW15IiwibSAxIiwiYjNzY2wiXQ==', 'DEPRECATED:m', now()),
    ('r 2', '{}', '00000000-0000-0000-0000-0000000000f1', 'WyJzY2hvb2wiLCJtIDEiLCJiM3NjbCJd', 'DEPRECATED:m', now()),
    ('r-1719835200003', '{}', '00000000-0000-0000-0000-0000000000f4', 'WyJub2JvZHkiLCJtIDEiLCJiM3NjbCJd', 'DEPRECATED:m', now());

INSERT INTO commands (action, params, deadline) VALUES ('update_node_state', '{"ID": 1}', now());
