-- A database with everything that restores get wrong. PostgreSQL 15 and later; needs a superuser.
CREATE SCHEMA "quoted ""schema"" 🦄";
CREATE SCHEMA other AUTHORIZATION backup_owner;

CREATE TYPE mood AS ENUM ('calm', 'it''s "fine"', 'angry');
ALTER TYPE mood ADD VALUE 'worried' BEFORE 'angry';
CREATE TYPE place AS (street text, number int);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN short_text AS text DEFAULT 'x' NOT NULL CHECK (length(VALUE) < 20);
CREATE COLLATION by_bytes (provider = libc, locale = 'C');

CREATE FUNCTION other.double(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION notice_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER notice_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION notice_ddl();
CREATE AGGREGATE product (int) (SFUNC = int4mul, STYPE = int, INITCOND = '1');
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);

CREATE SEQUENCE other.numbers START 7 INCREMENT 3 CYCLE MAXVALUE 1000;
SELECT setval('other.numbers', 100);

CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5) PRIMARY KEY,
    gone int,
    name short_text COLLATE by_bytes,
    mood mood DEFAULT 'calm',
    home place,
    born date CHECK (born > '1900-01-01'),
    doubled int GENERATED ALWAYS AS (other.double(7)) STORED,
    number int DEFAULT nextval('other.numbers'),
    tags text[] DEFAULT '{}',
    boss bigint REFERENCES people DEFERRABLE INITIALLY DEFERRED,
    secret text,
    UNIQUE NULLS NOT DISTINCT (name, born)
);
ALTER TABLE people DROP COLUMN gone;
ALTER TABLE people ALTER COLUMN secret SET STORAGE EXTERNAL;
ALTER TABLE people ADD CONSTRAINT later CHECK (secret <> '') NOT VALID;
CREATE INDEX people_lower ON people (lower(name)) INCLUDE (mood) WHERE mood <> 'angry';
CREATE STATISTICS people_together ON name, mood FROM people;
COMMENT ON COLUMN people.mood IS 'how they are; "quoted" and ''quoted''';
INSERT INTO people (name, mood, home, born, secret)
SELECT 'n' || i, (enum_range(NULL::mood))[1 + i % 4], ROW('street', i)::place, date '1950-01-01' + i, repeat('s', i % 90 + 1)
  FROM generate_series(1, 3000) i;
UPDATE people SET boss = 10 WHERE id > 10;

ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON people AS RESTRICTIVE FOR SELECT TO backup_reader USING (name = current_user);
GRANT SELECT (name), UPDATE (mood) ON people TO backup_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE backup_owner IN SCHEMA other GRANT SELECT ON TABLES TO backup_reader;

CREATE TABLE "quoted ""schema"" 🦄"."table; DROP TABLE people; --" ("a ""column"" <b>" int, "new
line" text);
INSERT INTO "quoted ""schema"" 🦄"."table; DROP TABLE people; --" SELECT i, E'\\.\n\t\\N' FROM generate_series(1, 50) i;
CREATE TABLE "table with
a new line" (id int);
INSERT INTO "table with
a new line" VALUES (1), (2);

CREATE TABLE measured (at timestamptz NOT NULL, place text, value numeric) PARTITION BY RANGE (at);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (place);
CREATE TABLE measured_2026_a PARTITION OF measured_2026 FOR VALUES IN ('a', NULL);
CREATE TABLE measured_rest PARTITION OF measured DEFAULT;
ALTER TABLE measured_2026 ADD CONSTRAINT positive CHECK (value > 0);
CREATE INDEX ON measured (at);
INSERT INTO measured
SELECT timestamptz '2025-06-01' + i * interval '1 hour', CASE WHEN i % 2 = 0 THEN 'a' END, i FROM generate_series(1, 9000) i
 WHERE timestamptz '2025-06-01' + i * interval '1 hour' < '2027-01-01';

CREATE TABLE parent (id int);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 'x'), (3, 'y');

CREATE UNLOGGED TABLE quick (id int PRIMARY KEY, body jsonb);
INSERT INTO quick SELECT i, jsonb_build_object('i', i) FROM generate_series(1, 100) i;

CREATE TABLE empty_one ();
CREATE TABLE other.owned (id serial PRIMARY KEY, amount money, period tstzrange, EXCLUDE USING gist (period WITH &&));
ALTER TABLE other.owned OWNER TO backup_owner;

CREATE VIEW calm WITH (security_barrier) AS SELECT id, name FROM people WHERE mood = 'calm' WITH CHECK OPTION;
CREATE MATERIALIZED VIEW moods AS SELECT mood, count(*) AS people FROM people GROUP BY mood;
CREATE UNIQUE INDEX moods_mood ON moods (mood);
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE RULE no_delete AS ON DELETE TO empty_one DO INSTEAD NOTHING;
CREATE FUNCTION other.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE OF name ON people FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION other.touch();
ALTER TABLE people DISABLE TRIGGER touch;
CREATE PUBLICATION everything FOR TABLE people WHERE (id > 10);

SELECT lo_from_bytea(0, convert_to(repeat('large object ', 1000), 'UTF8'));
