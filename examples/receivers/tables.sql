-- The receiver's own tables, beside the shop's. Run once, in the shop's database.
CREATE TABLE IF NOT EXISTS dm_claim (
  order_id    VARCHAR(64) PRIMARY KEY,
  claim_id    VARCHAR(64) NOT NULL,
  fence       BIGINT NOT NULL,
  expires_at  DATETIME(3) NOT NULL,
  takeover_id VARCHAR(64) NULL,            -- set by the one delivery that counted
  is_released TINYINT NOT NULL DEFAULT 0   -- the row stays: an old fence must not come back
) ENGINE = InnoDB;
-- What buyers are to be told or given; your mailer sends what is not done yet and sets is_done.
CREATE TABLE IF NOT EXISTS dm_action (
  action_id  VARCHAR(80) PRIMARY KEY,
  order_id   VARCHAR(64) NOT NULL,
  kind       VARCHAR(16) NOT NULL,
  body       TEXT NOT NULL,
  is_done    TINYINT NOT NULL DEFAULT 0
) ENGINE = InnoDB;
