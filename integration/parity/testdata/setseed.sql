-- random() goes on where setseed() was
SELECT setseed(0.25);

SELECT random();

SELECT v FROM t WHERE id = 2;

SELECT random();

SET seed = 0.5;

SELECT random();

SELECT random() FROM generate_series(1, 3);
