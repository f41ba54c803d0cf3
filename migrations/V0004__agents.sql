-- What the agents on the nodes say: which meetings run, and who is in them.

-- The last batch of each start of an agent that counts. Batches of one start are numbered without gaps. The start that began
-- last speaks for the node; what comes late from one before it does not count.
CREATE TABLE agents (
    backend_id uuid NOT NULL REFERENCES backends ON DELETE CASCADE,
    boot       uuid NOT NULL,
    seq        bigint NOT NULL,
    begun_at   timestamptz NOT NULL,
    heard_at   timestamptz NOT NULL,
    PRIMARY KEY (backend_id, boot)
);

-- Every change of the two tables below carries the seq of its backend's status, by which the servers follow it. What is gone
-- stays for a while, so that they hear of that, too.
CREATE TABLE node_meetings (
    backend_id  uuid NOT NULL REFERENCES backends ON DELETE CASCADE,
    -- The node's own id.
    internal_id text NOT NULL,
    -- The id it was created with.
    id          text NOT NULL,
    create_time bigint NOT NULL,
    breakout    boolean NOT NULL,
    recording   boolean NOT NULL,
    gone_at     timestamptz,
    seq         bigint NOT NULL,
    PRIMARY KEY (backend_id, internal_id)
);

CREATE INDEX node_meetings_by_seq ON node_meetings (backend_id, seq);
CREATE INDEX node_meetings_by_id ON node_meetings (id);

CREATE TABLE attendees (
    backend_id     uuid NOT NULL,
    -- The node's own id of the meeting.
    meeting        text NOT NULL,
    -- The node's own id of the attendee.
    internal_id    text NOT NULL,
    user_id        text NOT NULL,
    full_name      text NOT NULL,
    moderator      boolean NOT NULL,
    presenter      boolean NOT NULL,
    listening_only boolean NOT NULL,
    joined_voice   boolean NOT NULL,
    has_video      boolean NOT NULL,
    client_type    text NOT NULL,
    gone_at        timestamptz,
    seq            bigint NOT NULL,
    PRIMARY KEY (backend_id, meeting, internal_id),
    FOREIGN KEY (backend_id, meeting) REFERENCES node_meetings ON DELETE CASCADE
);

CREATE INDEX attendees_by_seq ON attendees (backend_id, seq);
CREATE INDEX attendees_gone ON attendees (gone_at) WHERE gone_at IS NOT NULL;

-- People who were sent to their node and have not come there yet, of frontends that may have only so many. Without them, of
-- many joins at once each would find a seat.
CREATE TABLE seats (
    id          uuid PRIMARY KEY,
    frontend_id uuid NOT NULL REFERENCES frontends ON DELETE CASCADE,
    -- The scoped id of the meeting.
    meeting     text NOT NULL,
    -- The frontend's id of whoever was sent, if the join had one.
    user_id     text,
    expires_at  timestamptz NOT NULL
);

CREATE INDEX seats_by_frontend ON seats (frontend_id);
CREATE INDEX seats_by_meeting ON seats (meeting);

ALTER TABLE backend_status
    -- When an agent last said all there is. NULL: it does not hear its node, or something is missing.
    ADD COLUMN told_at      timestamptz,
    -- The rest of what an agent says of its machine.
    ADD COLUMN load_average real,
    ADD COLUMN network_in   double precision,
    ADD COLUMN network_out  double precision,
    ADD COLUMN bbb_version  text;
