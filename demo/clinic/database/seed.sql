-- What a freshly reset development database of the clinic starts with. Can be run any number of times.
INSERT INTO tenants (slug, name)
VALUES ('old-town', 'Clinic Old Town'), ('harbour', 'Clinic Harbour')
ON CONFLICT (slug) DO NOTHING;

INSERT INTO users (email, full_name, tenant_id)
SELECT v.email, v.full_name, t.id
  FROM (VALUES ('ana.ruiz@clinic.example', 'Ana Ruiz', 'old-town'),
               ('marek.novak@clinic.example', 'Marek Novák', 'old-town'),
               ('joy.okafor@clinic.example', 'Joy Okafor', 'harbour')) AS v (email, full_name, tenant)
  JOIN tenants t ON t.slug = v.tenant
ON CONFLICT (email) DO NOTHING;

INSERT INTO memberships (tenant_id, user_id, role_id)
SELECT u.tenant_id, u.id, r.id
  FROM users u
  JOIN roles r ON r.name = CASE u.email WHEN 'ana.ruiz@clinic.example' THEN 'manager' ELSE 'practitioner' END
ON CONFLICT DO NOTHING;

INSERT INTO practitioners (user_id, speciality, licence_number)
SELECT u.id, 'General practice', 'L-' || lpad(u.id::text, 7, '0')
  FROM users u
 WHERE u.email IN ('marek.novak@clinic.example', 'joy.okafor@clinic.example')
ON CONFLICT (user_id) DO NOTHING;

INSERT INTO patients (number, given_name, family_name, born_on, sex, phone)
VALUES (1, 'Sofia', 'Lindqvist', '1984-02-17', 'f', '+46 600 100 200'),
       (2, 'Omar', 'Haddad', '1959-11-03', 'm', NULL),
       (3, 'Keiko', 'Tanaka', '2016-06-30', 'f', '+81 600 300 400')
ON CONFLICT (number) DO NOTHING;

INSERT INTO appointments (patient_id, practitioner_id, starts_at, ends_at, reason, tenant_id, reference)
SELECT p.id, d.id, slot.starts_at, slot.starts_at + interval '30 minutes', 'Check-up', u.tenant_id,
       booking_reference(u.tenant_id, p.number)
  FROM patients p
  CROSS JOIN LATERAL (SELECT current_date + interval '8 hours' + p.number * interval '30 minutes') AS slot (starts_at)
  CROSS JOIN (SELECT * FROM practitioners ORDER BY id LIMIT 1) AS d
  JOIN users u ON u.id = d.user_id
 WHERE p.number <= 3
ON CONFLICT (reference) DO NOTHING;
