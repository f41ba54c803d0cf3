-- The queue of background work. A job is a row until it succeeds. A job that has failed too often stays here for an operator to see.
CREATE TABLE jobs (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- In the order of the requests.
    seq         bigserial NOT NULL,
    -- Names the code that runs it.
    kind        text NOT NULL,
    -- Jobs of one lane run one at a time, in the order of seq. NULL: this job waits for no other.
    lane        text,
    payload     jsonb NOT NULL,
    run_after   timestamptz NOT NULL DEFAULT now(),
    -- How often a server has begun it. With run_by it names the attempt, so that the result of an earlier one comes too late.
    attempts    integer NOT NULL DEFAULT 0,
    -- Until then the server that runs it is believed to be at work.
    lease       timestamptz,
    run_by      uuid,
    last_error  text,
    -- When it was given up. From then on it holds up no other job of its lane.
    poisoned_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX jobs_due ON jobs (kind, run_after) WHERE lane IS NULL AND poisoned_at IS NULL;
CREATE INDEX jobs_lanes ON jobs (kind, lane, seq) WHERE lane IS NOT NULL AND poisoned_at IS NULL;
CREATE INDEX jobs_run_by ON jobs (run_by) WHERE run_by IS NOT NULL;

-- A duty under way is not due, however long it takes: the server that does it puts the time off, for as long as it is there.
ALTER TABLE duties
    ADD COLUMN run_by uuid;

-- A job carries out a command, whose row keeps the fields of the REST API.
ALTER TABLE commands
    DROP COLUMN lease,
    DROP COLUMN run_by;
INSERT INTO jobs (id, kind, payload)
    SELECT id, 'command', jsonb_build_object('id', id) FROM commands WHERE state IN ('requested', 'running') ORDER BY seq;
