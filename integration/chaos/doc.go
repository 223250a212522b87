// Package chaos does to real servers what happens to servers, while clients write and read through howdah, and
// holds what they saw against what the servers have in the end:
//
//   - no write that was acknowledged is lost, and none that was said to have failed for certain is there
//     (unique inserts);
//   - registers that are written and read on the primary are linearizable (porcupine);
//   - no session reads less than it has written itself;
//   - no session is closed.
//
// The tests go by the rows of a matrix of failures. `make chaos` does them again and again, and TestChaos with random
// faults; a bounded part of it is in the normal run.
package chaos
