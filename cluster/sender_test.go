package cluster

import "testing"

// A standby is found among the primary's senders by its name, and by its address if several have that.
func TestSenderOf(t *testing.T) {
	t.Parallel()
	streaming, catchup := Sender{"streaming", "async"}, Sender{"catchup", "async"}
	senders := parseSenders("a\t10.0.0.1\tstreaming\tasync\nwalreceiver\t10.0.0.2\tstreaming\tasync\nwalreceiver\t10.0.0.3\tcatchup\tasync\n" +
		"socket\t\tstreaming\tasync\nodd\tname\t10.0.0.4\tstreaming\tasync\n")
	if len(senders) != 4 {
		t.Errorf("got %v", senders)
	}
	for _, test := range []struct {
		name, host string
		want       Sender
	}{
		{"a", "10.0.0.9", streaming}, {"a", "db1.example", streaming}, {"socket", "/run/postgresql", streaming},
		{"walreceiver", "10.0.0.2", streaming}, {"walreceiver", "10.0.0.3", catchup},
		{"walreceiver", "db1.example", Sender{}}, {"nobody", "10.0.0.1", Sender{}}, {"", "", Sender{}},
	} {
		if got := senderOf(senders, test.name, test.host); got != test.want {
			t.Errorf("%s on %s: %v, want %v", test.name, test.host, got, test.want)
		}
	}
	if got := senderOf(parseSenders("w\t1.1.1.1\tstreaming\tasync\nw\t1.1.1.2\tstreaming\tasync"), "w", "db"); got != streaming {
		t.Errorf("those that agree: %v", got)
	}
}
