ALTER TABLE users ADD COLUMN email_issued_at BIGINT;
