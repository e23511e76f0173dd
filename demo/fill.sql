-- Fills a clinic database at revision 7be5a90f13d6 with believable rows; the same rows on the same day.
-- Needs a superuser: constraints and triggers are switched off for speed (the rows keep them by construction).
-- The setting demo.patients says how many patients; everything else follows from it. PostgreSQL 14 and later.
SET session_replication_role = replica;
SET timezone = 'UTC';

-- A number from 0 to n - 1 that looks random and is always the same for the same i and salt.
CREATE FUNCTION pg_temp.pick(i bigint, salt bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashint8extended(i, salt) & 9223372036854775807) % n $$;

-- The n-th quarter hour of opening time: Monday to Friday, 8 to 17 o'clock, day 0 is Monday of this week.
CREATE FUNCTION pg_temp.slot(day bigint, quarter bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT date_trunc('week', now()) + make_interval(
       days => (7 * floor(day / 5.0) + day - 5 * floor(day / 5.0))::int, mins => (480 + 15 * quarter)::int) $$;

CREATE TEMPORARY TABLE given AS
SELECT row_number() OVER () - 1 AS n, name, CASE WHEN name IN (
    'Anna', 'Beatriz', 'Chiara', 'Dana', 'Elif', 'Fatima', 'Grace', 'Hanna', 'Ingrid', 'Joy', 'Keiko', 'Lucía', 'Maja',
    'Nora', 'Olga', 'Priya', 'Rosa', 'Sofia', 'Tereza', 'Yara') THEN 'f' ELSE 'm' END AS sex
  FROM unnest(ARRAY[
    'Anna', 'Amir', 'Beatriz', 'Bruno', 'Chiara', 'Carlos', 'Dana', 'David', 'Elif', 'Emil', 'Fatima', 'Felix', 'Grace',
    'Goran', 'Hanna', 'Hugo', 'Ingrid', 'Ivan', 'Joy', 'Jakub', 'Keiko', 'Kofi', 'Lucía', 'Lars', 'Maja', 'Marek', 'Nora',
    'Noah', 'Olga', 'Omar', 'Priya', 'Pavel', 'Rosa', 'Rafael', 'Sofia', 'Samuel', 'Tereza', 'Tomás', 'Yara', 'Yusuf'
  ]) AS name;
CREATE TEMPORARY TABLE family AS
SELECT row_number() OVER () - 1 AS n, name
  FROM unnest(ARRAY[
    'Almeida', 'Andersson', 'Bauer', 'Bianchi', 'Costa', 'Čapek', 'Dubois', 'Dvořák', 'Eriksen', 'Fernández', 'Fischer',
    'García', 'Goldberg', 'Haddad', 'Horvat', 'Ibrahim', 'Ivanova', 'Jansen', 'Jensen', 'Kaya', 'Kowalski', 'Kowalczyk',
    'Laurent', 'Lindqvist', 'López', 'Mensah', 'Moreau', 'Müller', 'Nakamura', 'Nguyen', 'Novák', 'O''Brien', 'Okafor',
    'Olsen', 'Papadopoulos', 'Patel', 'Petrov', 'Popescu', 'Quispe', 'Rossi', 'Ruiz', 'Sato', 'Schneider', 'Silva',
    'Singh', 'Svoboda', 'Tanaka', 'Torres', 'Vargas', 'Virtanen', 'Weber', 'Wójcik', 'Yılmaz', 'Zimmermann', 'Žižka'
  ]) AS name;
CREATE TEMPORARY TABLE service AS
SELECT row_number() OVER () - 1 AS n, split_part(line, '|', 1) AS name, split_part(line, '|', 2)::numeric AS price
  FROM unnest(ARRAY[
    'Consultation|48.50', 'Follow-up consultation|31.00', 'Blood count|22.40', 'ECG|39.90', 'Ultrasound, abdomen|71.20',
    'Vaccination, influenza|18.60', 'Physiotherapy, 30 minutes|35.00', 'Wound care|27.80', 'Allergy test|64.00',
    'Medical certificate|12.00', 'Spirometry|41.30', 'Travel medicine advice|29.50'
  ]) AS line;

INSERT INTO tenants (slug, name, created_at)
SELECT split_part(line, '|', 1), split_part(line, '|', 2), now() - interval '26 days'
  FROM unnest(ARRAY[
    'old-town|Clinic Old Town', 'harbour|Clinic Harbour', 'university|Clinic University', 'north|Clinic North',
    'children|Children''s Clinic', 'sports|Sports Medicine Centre'
  ]) AS line;

INSERT INTO users (email, full_name, password_hash, is_active, last_seen_at, created_at)
SELECT lower(translate(replace(g.name || '.' || f.name, '''', ''), 'áčéíóöüýžšřňťďĽąćęłńśźżıİÁČŽ', 'aceioouyzsrntdLacelnszziIACZ'))
           || i || '@clinic.example',
       g.name || ' ' || f.name,
       '$argon2id$v=19$m=65536,t=3,p=4$' || encode(sha256(convert_to('salt' || i, 'UTF8')), 'base64'),
       pg_temp.pick(i, 3, 12) > 0,
       now() - make_interval(hours => pg_temp.pick(i, 4, 900)::int),
       now() - make_interval(days => 30 + pg_temp.pick(i, 5, 950)::int)
  FROM generate_series(1, 24 + current_setting('demo.patients')::int / 60) AS i
  JOIN given g ON g.n = pg_temp.pick(i, 1, 40)
  JOIN family f ON f.n = pg_temp.pick(i, 2, 55)
 ORDER BY i;
INSERT INTO user_roles (user_id, role_id)
SELECT id, CASE WHEN id % 3 = 0 THEN 2 WHEN id % 7 = 1 THEN 3 WHEN id % 20 = 1 THEN 4 ELSE 1 END FROM users;
INSERT INTO memberships (tenant_id, user_id, role_id, since)
SELECT 1 + (r.user_id / 3) % 6, r.user_id, r.role_id, now() - interval '26 days' FROM user_roles r;
INSERT INTO practitioners (user_id, speciality, licence_number)
SELECT id,
       (ARRAY['General practice', 'Internal medicine', 'Paediatrics', 'Dermatology', 'Orthopaedics', 'Gynaecology',
              'Cardiology', 'Physiotherapy'])[1 + pg_temp.pick(id, 6, 8)],
       'L-' || lpad((40000 + id * 37)::text, 7, '0')
  FROM users
 WHERE id % 3 = 0
 ORDER BY id;

INSERT INTO sessions (user_id, created_at, expires_at, address, user_agent)
SELECT 1 + pg_temp.pick(i, 7, (SELECT count(*) FROM users)),
       now() - make_interval(mins => (i * 17)::int),
       now() - make_interval(mins => (i * 17)::int) + interval '14 days',
       ('10.20.' || pg_temp.pick(i, 8, 40) || '.' || 1 + pg_temp.pick(i, 9, 250))::inet,
       (ARRAY['Firefox on Windows', 'Chrome on Windows', 'Safari on iPad', 'Edge on Windows'])[1 + pg_temp.pick(i, 10, 4)]
  FROM generate_series(1, current_setting('demo.patients')::int) AS i;
INSERT INTO password_resets (token_hash, user_id, requested_at, used_at)
SELECT encode(sha256(convert_to('reset' || i, 'UTF8')), 'hex'),
       1 + pg_temp.pick(i, 11, (SELECT count(*) FROM users)),
       now() - make_interval(hours => i * 9),
       CASE WHEN pg_temp.pick(i, 12, 5) > 0 THEN now() - make_interval(hours => i * 9) + interval '11 minutes' END
  FROM generate_series(1, current_setting('demo.patients')::int / 40) AS i;

INSERT INTO patients (given_name, family_name, born_on, sex, phone, email, notes, archived_at, created_at, updated_at)
SELECT g.name, f.name,
       current_date - (200 + pg_temp.pick(i, 15, 32500))::int,
       CASE WHEN pg_temp.pick(i, 16, 90) = 0 THEN 'x' ELSE g.sex END,
       CASE WHEN pg_temp.pick(i, 17, 8) > 0
            THEN '+4' || pg_temp.pick(i, 18, 10) || ' ' || 600 + pg_temp.pick(i, 19, 190) || ' '
                      || 100 + pg_temp.pick(i, 20, 900) || ' ' || 100 + pg_temp.pick(i, 21, 900) END,
       CASE WHEN pg_temp.pick(i, 22, 3) > 0 THEN 'patient' || i || '@mail.example' END,
       (ARRAY['', '', '', '', 'Allergic to penicillin.', 'Prefers mornings.', 'Needs a wheelchair-accessible room.',
              'Interpreter: Arabic.', 'Interpreter: Ukrainian.', 'Takes anticoagulants.'])[1 + pg_temp.pick(i, 23, 10)],
       CASE WHEN pg_temp.pick(i, 24, 30) = 0 THEN now() - make_interval(days => pg_temp.pick(i, 25, 300)::int) END,
       since, since + make_interval(hours => pg_temp.pick(i, 49, 400)::int)
  FROM generate_series(1, current_setting('demo.patients')::int) AS i
  CROSS JOIN LATERAL (
    SELECT now() - make_interval(days => 20 + (930 * (1 - i::numeric / current_setting('demo.patients')::int))::int,
                                 mins => pg_temp.pick(i, 26, 540)::int)) AS first_visit (since)
  JOIN given g ON g.n = pg_temp.pick(i, 13, 40)
  JOIN family f ON f.n = pg_temp.pick(i, 14, 55)
 ORDER BY i;

-- Four appointments a patient, spread over two years back and six weeks ahead.
INSERT INTO appointments (patient_id, practitioner_id, starts_at, ends_at, status, reason, cancelled_at, created_at)
SELECT a.patient, a.practitioner, a.starts_at,
       a.starts_at + make_interval(mins => 15 * (1 + pg_temp.pick(a.i, 31, 3))::int),
       (CASE WHEN a.cancelled THEN 'cancelled'
             WHEN a.starts_at > now() THEN CASE WHEN pg_temp.pick(a.i, 32, 3) = 0 THEN 'confirmed' ELSE 'booked' END
             WHEN a.starts_at > now() - interval '2 hours' THEN 'arrived'
             WHEN pg_temp.pick(a.i, 33, 17) = 0 THEN 'no_show'
             ELSE 'done' END)::appointment_status,
       (ARRAY['Check-up', 'Follow-up', 'Vaccination', 'Back pain', 'Cough and fever', 'Skin rash', 'Blood test',
              'Prescription', 'Headache', 'Sick note', 'Injury'])[1 + pg_temp.pick(a.i, 34, 11)],
       CASE WHEN a.cancelled THEN a.starts_at - interval '1 day' END,
       least(a.starts_at - make_interval(days => 2 + pg_temp.pick(a.i, 35, 30)::int),
             now() - make_interval(mins => pg_temp.pick(a.i, 50, 9000)::int))
  FROM (
    SELECT i,
           1 + pg_temp.pick(i, 27, current_setting('demo.patients')::int) AS patient,
           1 + pg_temp.pick(i, 28, (SELECT count(*) FROM practitioners)) AS practitioner,
           pg_temp.slot(-500 + i * 530 / (4 * current_setting('demo.patients')::int), pg_temp.pick(i, 29, 36)) AS starts_at,
           pg_temp.pick(i, 30, 14) = 0 AS cancelled
      FROM generate_series(1, 4 * current_setting('demo.patients')::int) AS i
  ) a
 ORDER BY a.i;

INSERT INTO reminders (appointment_id, channel, send_at, sent_at)
SELECT id, (ARRAY['sms', 'email', 'letter'])[1 + pg_temp.pick(id, 36, 3)], starts_at - interval '1 day',
       CASE WHEN starts_at - interval '1 day' < now() THEN starts_at - interval '1 day' + interval '20 seconds' END
  FROM appointments
 WHERE starts_at > now() - interval '60 days' AND cancelled_at IS NULL;

INSERT INTO prescriptions (patient_id, practitioner_id, medicine, dose, prescribed_on, repeats)
SELECT patient_id, practitioner_id,
       (ARRAY['Amoxicillin', 'Ibuprofen', 'Paracetamol', 'Metformin', 'Ramipril', 'Levothyroxine', 'Salbutamol',
              'Omeprazole', 'Cetirizine'])[1 + pg_temp.pick(id, 37, 9)],
       (ARRAY['1-0-0', '1-0-1', '1-1-1', 'when needed', '0-0-1'])[1 + pg_temp.pick(id, 38, 5)],
       starts_at::date, pg_temp.pick(id, 39, 3)
  FROM appointments
 WHERE status = 'done' AND pg_temp.pick(id, 40, 3) = 0;

-- What is billed for an appointment: one or two services. Totals are the sums of the lines.
CREATE TEMPORARY TABLE billed AS
SELECT row_number() OVER (ORDER BY a.id, p.position) AS line,
       dense_rank() OVER (ORDER BY a.id) AS invoice,
       a.id AS appointment, a.patient_id, a.ends_at::date AS day, p.position, s.name, s.price,
       1 + (pg_temp.pick(a.id, 42, 9) = 0)::int AS quantity
  FROM appointments a
  CROSS JOIN generate_series(1, 2) AS p (position)
  JOIN service s ON s.n = CASE p.position WHEN 1 THEN pg_temp.pick(a.id, 41, 2) ELSE 2 + pg_temp.pick(a.id, 43, 10) END
 WHERE a.status = 'done'
   AND pg_temp.pick(a.id, 44, 10) < 7
   AND (p.position = 1 OR pg_temp.pick(a.id, 45, 2) = 0);
INSERT INTO invoices (patient_id, appointment_id, status, issued_on, due_on, total, paid_at)
SELECT patient_id, appointment, i.status::invoice_status, day, day + 30, total,
       CASE WHEN i.status = 'paid' THEN day + make_interval(days => 3 + pg_temp.pick(appointment, 47, 25)::int) END
  FROM (
    SELECT invoice, appointment, min(patient_id) AS patient_id, min(day) AS day, sum(price * quantity) AS total,
           CASE WHEN pg_temp.pick(appointment, 46, 60) = 0 THEN 'void'
                WHEN min(day) > current_date - 3 THEN 'draft'
                WHEN min(day) > current_date - 30 OR pg_temp.pick(appointment, 48, 40) = 0 THEN 'open'
                ELSE 'paid' END AS status
      FROM billed
     GROUP BY invoice, appointment
  ) i
 ORDER BY invoice;
INSERT INTO invoice_lines (invoice_id, position, description, quantity, unit_price)
SELECT invoice, position, name, quantity, price FROM billed ORDER BY line;

INSERT INTO audit.audit_log (at, actor, table_name, row_id, action, old, new)
SELECT p.created_at, 'clinic_app', 'patients', p.id, 'insert', NULL, to_jsonb(p) FROM patients p WHERE p.id % 2 = 0
 UNION ALL
SELECT i.paid_at, 'clinic_app', 'invoices', i.id, 'update',
       jsonb_build_object('status', 'open', 'paid_at', NULL), jsonb_build_object('status', 'paid', 'paid_at', i.paid_at)
  FROM invoices i
 WHERE i.status = 'paid' AND i.id % 2 = 0
 ORDER BY 1;

REFRESH MATERIALIZED VIEW monthly_revenue;
RESET session_replication_role;
