SELECT c.relname, c.relkind FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' ORDER BY 1

SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum

SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1

SELECT to_regclass('t'), 't'::regclass, 'pure'::regproc, to_regtype('mood')

SELECT pg_get_viewdef('v'), pg_get_functiondef('pure'::regproc)

SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'constrained'::regclass ORDER BY 1

SELECT has_table_privilege('reader', 't', 'SELECT'), has_table_privilege('reader', 'secret', 'SELECT')

SELECT pg_size_pretty(0::bigint), obj_description('t'::regclass), col_description('t'::regclass, 1)

COMMENT ON TABLE t IS 'a comment'

SELECT obj_description('t'::regclass)

SELECT rolname FROM pg_roles WHERE rolname = 'reader'

SELECT enum_range(NULL::mood), 'sad'::mood < 'happy'

SELECT * FROM pg_stat_activity WHERE false
