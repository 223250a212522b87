// Package web serves HTTP: health checks for load balancers, metrics for Prometheus, commands as JSON, and
// the page. The same handler on a Unix socket is the command line's way in.
//
//	path                        who           what
//	/healthz /readyz            everybody     200 or 503, and why
//	/primary /replica?lag=      everybody     the same, as Patroni's: is there one to send work to
//	/leader                     everybody     is this howdah the one that acts for all of them
//	/metrics                    everybody     Prometheus's text format
//	/ and its parts             readers       the page
//	/api/v1/COMMAND             readers       GET: a command that looks; POST: any, if the caller may
//	/debug/pprof/PROFILE        who may change   where processor time and memory go (profile.go)
//
// Users and passwords are those of admin.users_file, by HTTP Basic authentication, over TLS or
// loopback only. A POST needs the header X-Howdah, which no other site's page can set.
package web
