package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", ".", "directory of the package to write to")
	flag.Parse()
	if err := generate(context.Background(), flag.Args(), *out); err != nil {
		log.Fatal(err)
	}
}

// generate tries the servers whose programs are in bins, oldest first.
func generate(ctx context.Context, bins []string, out string) error {
	if len(bins) == 0 {
		return fmt.Errorf("no directory of server programs given")
	}
	relations := map[string]*relationEvidence{}
	var servers []string
	for _, bin := range bins {
		version, err := tryServer(ctx, bin, relations)
		if err != nil {
			return err
		}
		servers = append(servers, version)
	}
	return writeRelations(filepath.Join(out, "relation_gen.go"), servers, relations)
}

func tryServer(ctx context.Context, bin string, relations map[string]*relationEvidence) (version string, err error) {
	l, err := openLab(ctx, bin)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	log.Printf("PostgreSQL %s: trying relations", l.version)
	if err := l.tryRelations(ctx, relations); err != nil {
		return "", err
	}
	return l.version, nil
}
