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

// findings are what all servers said and showed, by name.
type findings struct {
	servers   []string
	relations map[string]*relationEvidence
	functions map[string]*functionEvidence
	syntax    map[string]bool
}

// generate tries the servers whose programs are in bins, oldest first.
func generate(ctx context.Context, bins []string, out string) error {
	if len(bins) == 0 {
		return errors.New("generate: no directory of server programs given")
	}
	f := &findings{relations: map[string]*relationEvidence{}, functions: map[string]*functionEvidence{}, syntax: map[string]bool{}}
	for _, bin := range bins {
		if err := f.addServer(ctx, bin); err != nil {
			return fmt.Errorf("try %s: %w", bin, err)
		}
	}
	if err := f.writeRelations(filepath.Join(out, "relation_gen.go")); err != nil {
		return err
	}
	return f.writeFunctions(filepath.Join(out, "builtin_gen.go"))
}

func (f *findings) addServer(ctx context.Context, bin string) (err error) {
	l, err := openLab(ctx, bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	f.servers = append(f.servers, l.version)
	log.Printf("PostgreSQL %s: trying relations", l.version)
	if err := l.tryRelations(ctx, f.relations); err != nil {
		return err
	}
	log.Printf("PostgreSQL %s: trying functions", l.version)
	if err := l.tryFunctions(ctx, f.functions); err != nil {
		return err
	}
	return l.findSyntax(ctx, f.syntax)
}
