// Package admin is what operators do with howdah, behind every door.
package admin
