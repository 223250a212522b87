-- needs: HOWDAH_HUGE
-- standby: /* 256 MB of text */
SELECT repeat('0123456789abcdef', 16 * 1024 * 1024) /* 256 MB of text */
