package main

import (
	"context"

	"github.com/howdah/howdah/cluster"
)

// This file hands operators' orders about nodes, by number, on to the cluster, which knows them by name.

func (s *service) nodeName(id cluster.NodeID) string {
	if n := s.cluster.View().Node(id); n != nil {
		return n.Name
	}
	return ""
}

func (s *service) attach(ctx context.Context, id cluster.NodeID) error {
	return s.cluster.Attach(ctx, s.nodeName(id))
}

func (s *service) detach(ctx context.Context, id cluster.NodeID, gracefully bool) error {
	name := s.nodeName(id)
	err := s.cluster.Detach(ctx, name)
	if err == nil && gracefully {
		err = s.cluster.Drain(ctx, name)
	}
	return err
}

func (s *service) promote(ctx context.Context, id cluster.NodeID) error {
	_, err := s.cluster.Promote(ctx, s.nodeName(id))
	return err
}

func (s *service) switchover(ctx context.Context, id cluster.NodeID, cut bool) error {
	_, err := s.cluster.Switchover(ctx, cluster.SwitchoverOptions{Target: s.nodeName(id), Cut: cut})
	return err
}

func (s *service) recover(ctx context.Context, id cluster.NodeID) error {
	return s.cluster.Recover(ctx, s.nodeName(id))
}

func (s *service) pause(ctx context.Context, paused bool) error {
	if paused {
		return s.cluster.Pause(ctx)
	}
	return s.cluster.Resume(ctx)
}
