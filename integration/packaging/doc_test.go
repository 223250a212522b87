// Package packaging_test builds the Debian package and installs it in a copy of this system that nobody else
// sees: an overlay over / in a mount namespace of its own. In one of them it boots systemd. It needs root, dpkg, unshare and systemd-nspawn.
package packaging_test
