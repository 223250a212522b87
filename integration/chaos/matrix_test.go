package chaos

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// matrix are the failures of servers and of what is done about them, numbered as in the matrix that howdah was designed with (those
// of watchdogs and networks, 1 to 31, are integration/quorum's and integration/vip's), and the tests in which each happens to real servers.
var matrix = []struct {
	row   int
	fault string
	tests []string
}{
	{32, "the primary is killed and stays dead", []string{"TestPrimaryKilled", "TestFailoverUnderWriters", "TestNativeFailover"}},
	{33, "a backend of the primary crashes, it recovers", []string{"TestBackendCrashes"}},
	{34, "the primary hangs, and goes on later", []string{"TestPrimaryHangs", "TestFailoverOfHungPrimary", "TestServerTooBusyForProbes"}},
	{35, "the primary's disk is full", []string{"TestPrimaryDiskFull"}},
	{36, "the primary is stopped, or restarted, in order", []string{"TestPrimaryShutDown"}},
	{37, "all connections of the primary are taken", []string{"TestPrimaryFull"}},
	{38, "a standby is killed, hangs, is stopped, loses a backend, is cut off", []string{"TestStandbyLost", "TestStandbyCutOff"}},
	{39, "a standby lags, or its replay is paused", []string{"TestStandbyPaused", "TestLagLimits"}},
	{40, "all servers are down, one comes back", []string{"TestAllDown"}},
	{41, "the synchronous standbys are lost", []string{"TestSynchronousStandbysLost"}},
	{42, "the old primary comes back after a while", []string{"TestPrimaryKilled", "TestPrimaryHangs"}},
	{43, "somebody promotes a standby beside the primary", []string{"TestSecondPrimaryByHand"}},
	{44, "a standby has log that the primary has not", []string{"TestForked"}},
	{45, "a standby is replaced by another database system", []string{"TestAnotherSystem"}},
	{46, "a server dies and comes back again and again", []string{"TestStandbyFlaps"}},
	{47, "the probes are not let in", []string{"TestProbeLockedOut"}},
	{48, "failover_command fails", []string{"TestCommandGoesWrong"}},
	{49, "failover_command hangs", []string{"TestCommandGoesWrong"}},
	{50, "howdah dies in each phase", []string{"TestHowdahDiesInEachPhase", "TestFailoverSurvivesItsLeader"}},
	{51, "the candidate dies while it is promoted", []string{"TestCommandGoesWrong"}},
	{52, "a promotion succeeds and says that it failed", []string{"TestCommandGoesWrong"}},
	{20, "the primary is out of howdah's reach, and standbys hear it", []string{"TestPrimaryCutOff", "TestPrimaryCutOffForLong"}},
}

// Every row has a test, and every test is there.
func TestMatrix(t *testing.T) {
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, pattern := range []string{"*_test.go", "../*_test.go", "../quorum/*_test.go", "../../cluster/*_test.go"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			must(t, err)
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				there[m[1]] = true
			}
		}
	}
	rows := map[int]bool{}
	for _, m := range matrix {
		rows[m.row] = true
		if len(m.tests) == 0 || strings.TrimSpace(m.fault) == "" {
			t.Errorf("row %d has no test", m.row)
		}
		for _, name := range m.tests {
			if !there[name] {
				t.Errorf("row %d (%s): there is no %s", m.row, m.fault, name)
			}
		}
	}
	for row := 32; row <= 52; row++ {
		if !rows[row] {
			t.Errorf("row %d is missing", row)
		}
	}
}
