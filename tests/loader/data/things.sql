CREATE TABLE public.things (
 id bigint PRIMARY KEY, name text NOT NULL, price numeric(18,6), rate double precision, flag boolean, day date, at timestamptz, naive timestamp, clock time, tags text[], meta jsonb, big numeric(30,0), small smallint, raw bytea, uid uuid, updated_at timestamptz NOT NULL);
INSERT INTO public.things VALUES
 (1,'plain',12345.678901,0.1,true,'2024-02-29','2026-01-01 12:00:00.123456+05:30','2026-01-01 12:00:00','23:59:59','{a,"b c"}','{"n": 1.10, "deep": {"x": [1, 2.5, null]}}',123456789012345678901234567890,7,'\x00ff','6f1c1f4e-6c1e-4a52-9d64-6f6bb9b0b8a1','2026-01-01 00:00:00+00'),
 (2,E'new\nline "quoted" \\ back',-0.000001,1e100,false,'1970-01-01','1969-12-31 23:59:59.999999+00',NULL,'00:00:00','{}','[]',-1,-7,'','6f1c1f4e-6c1e-4a52-9d64-6f6bb9b0b8a2','2026-01-02 00:00:00+00'),
 (9223372036854775807,'Ünïcødé 🦆',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-01-03 00:00:00+00');
