// Package packaging_test builds the Debian package and installs it in a copy of this system that nobody else
// sees: an overlay over / in a mount namespace of its own. It needs root, dpkg and unshare.
package packaging_test
