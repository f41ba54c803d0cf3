-- The algorithm of a backend's checksums. NULL: the servers find out which one the node accepts.
ALTER TABLE backends
    ADD COLUMN checksum_algorithm text CHECK (checksum_algorithm IN ('sha1', 'sha256', 'sha384', 'sha512'));
