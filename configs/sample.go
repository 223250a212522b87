package configs

import _ "embed"

// Sample is a commented configuration file that names every key with its
// default and its trap. It is valid as it stands.
//
//go:embed howdah.sample.yml
var Sample string
