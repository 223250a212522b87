package vip_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/vip"
)

// roleVariable makes this binary one of the test's programs.
const roleVariable = "HOWDAH_VIP_TEST_ROLE"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == vip.GuardianCommand {
		if err := vip.RunGuardian(os.Stderr, noteWill); err != nil {
			fmt.Fprintln(os.Stderr, "guardian:", err)
			os.Exit(1)
		}
		return
	}
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(howdahtest.Main(m))
}

func play(role string, args []string) error {
	switch role {
	case "holder":
		return playHolder(args[0])
	case "server":
		return playServer(args[0])
	case "clients":
		return playClients(args[0], args[1])
	case "listener":
		return playListener(args[0])
	}
	return fmt.Errorf("no such role")
}
