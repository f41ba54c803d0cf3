-- Recordings. A record stays as a tombstone when its recording is deleted, so that a late import does not bring it back.
CREATE TABLE recordings (
    record_id           text PRIMARY KEY CHECK (record_id ~ '^[A-Za-z0-9_-]{1,255}$'),
    -- NULL: the meeting is unknown here, or its frontend was removed. Only operators see it.
    frontend_id         uuid REFERENCES frontends ON DELETE SET NULL,
    -- The frontend's id of the meeting, and the node's.
    meeting_id          text NOT NULL,
    internal_meeting_id text NOT NULL,
    name                text NOT NULL,
    is_breakout         boolean NOT NULL DEFAULT false,
    state               text NOT NULL CHECK (state IN ('published', 'unpublished', 'deleted')),
    protected           boolean NOT NULL DEFAULT false,
    -- It is unpublished for want of a frontend alone.
    held                boolean NOT NULL DEFAULT false,
    -- The key of the frontend that the id of its meeting names, if it came without a frontend.
    named_frontend      text,
    -- Milliseconds since 1970.
    start_time          bigint NOT NULL,
    end_time            bigint NOT NULL,
    participants        bigint NOT NULL DEFAULT 0,
    raw_size            bigint NOT NULL DEFAULT 0,
    -- Texts by their names.
    metadata            jsonb NOT NULL DEFAULT '{}',
    breakout            jsonb,
    breakout_rooms      text[] NOT NULL DEFAULT '{}',
    -- Grows with every change that ends the tickets of the recording.
    epoch               integer NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    deleted_at          timestamptz,
    -- When the trash was emptied of it: a tombstone without name, metadata and formats is left.
    purged_at           timestamptz
);

-- Lists are newest first. A list of some meetings reads each of them from the second, and beginnings of ids from the third.
-- Tombstones are passed over in the index.
CREATE INDEX recordings_newest ON recordings (frontend_id, start_time DESC, record_id DESC) INCLUDE (state);
CREATE INDEX recordings_of_meetings ON recordings (frontend_id, meeting_id, start_time DESC, record_id DESC) INCLUDE (state);
CREATE INDEX recordings_by_beginning ON recordings (frontend_id, record_id text_pattern_ops) INCLUDE (start_time, state);
-- Operators list those of all frontends.
CREATE INDEX recordings_of_all ON recordings (start_time DESC, record_id DESC) INCLUDE (state);
CREATE INDEX recordings_in_trash ON recordings (deleted_at) WHERE deleted_at IS NOT NULL AND purged_at IS NULL;

CREATE TABLE recording_formats (
    record_id       text NOT NULL REFERENCES recordings ON DELETE CASCADE,
    format          text NOT NULL CHECK (format ~ '^[A-Za-z0-9_-]{1,64}$'),
    -- Path and query on the host of playback.
    link            text NOT NULL,
    -- Milliseconds.
    processing_time bigint NOT NULL DEFAULT 0,
    duration        bigint NOT NULL DEFAULT 0,
    -- Bytes.
    size            bigint NOT NULL DEFAULT 0,
    images          jsonb NOT NULL DEFAULT '[]',
    extensions      text NOT NULL DEFAULT '',
    -- Where the files are: 'local' or 's3', and the tree or the prefix there. NULL: there are none here.
    shelf           text CHECK (shelf IN ('local', 's3')),
    place           text,
    -- Tells one content from another: the digest of names and contents.
    digest          text,
    files           bigint NOT NULL DEFAULT 0,
    -- Their size, as the shelf has it. 0: not measured yet.
    bytes           bigint NOT NULL DEFAULT 0,
    imported_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (record_id, format)
);

CREATE TABLE recording_tracks (
    record_id  text NOT NULL REFERENCES recordings ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('captions', 'subtitles')),
    lang       text NOT NULL,
    label      text NOT NULL,
    source     text NOT NULL,
    -- WebVTT.
    content    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (record_id, kind, lang)
);

-- A recording became ready for its frontend. Written in the transaction that makes it visible, read by the delivery of callbacks.
CREATE TABLE recordings_ready (
    seq         bigserial PRIMARY KEY,
    record_id   text NOT NULL REFERENCES recordings ON DELETE CASCADE,
    -- NULL: the recording as a whole, which is announced once.
    format      text,
    frontend_id uuid NOT NULL REFERENCES frontends ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX recordings_ready_once ON recordings_ready (record_id, coalesce(format, ''));

-- A ticket ends when its recording is unpublished, deleted, protected, or comes to another frontend, such as none.
CREATE FUNCTION change_recording() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    IF NEW.state <> OLD.state AND NEW.state <> 'published' OR NEW.protected AND NOT OLD.protected
            OR NEW.frontend_id IS DISTINCT FROM OLD.frontend_id THEN
        NEW.epoch := OLD.epoch + 1;
    END IF;
    NEW.deleted_at := CASE WHEN NEW.state = 'deleted' THEN coalesce(OLD.deleted_at, now()) END;
    NEW.purged_at := CASE WHEN NEW.state = 'deleted' THEN NEW.purged_at END;
    RETURN NEW;
END $$;
CREATE TRIGGER change_recording BEFORE UPDATE ON recordings FOR EACH ROW EXECUTE FUNCTION change_recording();

-- A job brings the files in line with the rows: after a change of the state, which tells their tree, after the arrival of a format or
-- its move to another shelf, and after the arrival of a text track, which the player reads from a file. Its row commits with the
-- change, so it is never lost.
CREATE FUNCTION settle_recording() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs (kind, lane, payload)
        SELECT 'settle_recording', NEW.record_id, jsonb_build_object('record_id', NEW.record_id)
        WHERE EXISTS (SELECT FROM recording_formats WHERE record_id = NEW.record_id AND place IS NOT NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER settle_files AFTER UPDATE ON recordings
    FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION settle_recording();
CREATE TRIGGER settle_files AFTER INSERT OR UPDATE OF imported_at ON recording_formats
    FOR EACH ROW EXECUTE FUNCTION settle_recording();
CREATE TRIGGER settle_moved_files AFTER UPDATE OF shelf ON recording_formats
    FOR EACH ROW WHEN (NEW.shelf IS DISTINCT FROM OLD.shelf) EXECUTE FUNCTION settle_recording();
CREATE TRIGGER settle_files AFTER INSERT OR UPDATE ON recording_tracks
    FOR EACH ROW WHEN (NEW.source = 'upload') EXECUTE FUNCTION settle_recording();

-- Whether such a job, or one that moves the recording to another shelf, is under way.
CREATE FUNCTION is_settling(record_id text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM jobs
        WHERE kind IN ('settle_recording', 'move_recording', 'import_recording') AND lane = record_id AND poisoned_at IS NULL)
$$;

-- Servers remember who may play a recording, and forget it when they hear of a change.
CREATE FUNCTION announce_recording() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('b3scale', 'recording:' || OLD.record_id);
    RETURN NULL;
END $$;
CREATE TRIGGER announce_change AFTER UPDATE OF state, protected, epoch, frontend_id ON recordings
    FOR EACH ROW EXECUTE FUNCTION announce_recording();
CREATE TRIGGER announce_removal AFTER DELETE ON recordings FOR EACH ROW EXECUTE FUNCTION announce_recording();

-- Recordings on their way in. A job takes in each; the row outlives the job, so that nodes hear of the outcome.
CREATE TABLE recording_imports (
    id         uuid PRIMARY KEY,
    -- In chunks from a node, as an archive in scalelite's spool, or as a metadata.xml next to folders of the inbox.
    source     text NOT NULL CHECK (source IN ('upload', 'spool', 'folder')),
    -- The URL of the node, or the subject of an operator's token.
    sender     text NOT NULL DEFAULT '',
    -- For people: the recording and its format, or the file.
    name       text NOT NULL,
    record_id  text,
    format     text,
    -- Bytes and SHA-256 of the archive, as announced.
    length     bigint,
    sha256     text,
    -- The metadata.xml of a folder, and the overrides of its meeting and frontend.
    document   text,
    meeting_id text,
    frontend   text,
    state      text NOT NULL CHECK (state IN ('receiving', 'waiting', 'running', 'imported', 'refused')),
    reason     text,
    -- The formats that were taken in, as `<format>/<record id>`.
    formats    text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recording_imports_announced ON recording_imports (record_id, sender);
CREATE INDEX recording_imports_receiving ON recording_imports (sender) WHERE state = 'receiving';
CREATE INDEX recording_imports_settled ON recording_imports (updated_at) WHERE state IN ('imported', 'refused');
