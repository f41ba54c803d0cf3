-- What a backend's checksums are made with. NULL: its servers find out what the node accepts.
ALTER TABLE backends
    ADD COLUMN checksum_algorithm text CHECK (checksum_algorithm IN ('sha1', 'sha256', 'sha384', 'sha512'));
