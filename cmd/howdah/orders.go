package main

import (
	"context"
	"errors"

	"github.com/howdah/howdah/cluster"
)

// This file hands operators' orders about nodes, by number, on to the cluster, which knows them by name. Among several
// howdahs the leader carries them out, whichever was told.

func (s *service) nodeName(id cluster.NodeID) string {
	if n := s.cluster.View().Node(id); n != nil {
		return n.Name
	}
	return ""
}

// order carries out an order here, or has the leader do it.
func (s *service) order(ctx context.Context, o orderQuestion) error {
	err := order(ctx, s.cluster, o)
	var other *cluster.NotLeader
	if !errors.As(err, &other) || other.Leader == "" || s.quorum == nil {
		return err
	}
	return s.quorum.services.forwardOrder(ctx, other.Leader, o)
}

func (s *service) attach(ctx context.Context, id cluster.NodeID) error {
	return s.order(ctx, orderQuestion{What: "attach", Node: s.nodeName(id)})
}

func (s *service) detach(ctx context.Context, id cluster.NodeID, gracefully bool) error {
	name := s.nodeName(id)
	err := s.order(ctx, orderQuestion{What: "detach", Node: name})
	if err == nil && gracefully {
		err = s.cluster.Drain(ctx, name)
	}
	return err
}

func (s *service) promote(ctx context.Context, id cluster.NodeID) error {
	return s.order(ctx, orderQuestion{What: "promote", Node: s.nodeName(id)})
}

func (s *service) switchover(ctx context.Context, id cluster.NodeID, cut bool) error {
	return s.order(ctx, orderQuestion{What: "switchover", Node: s.nodeName(id), Cut: cut})
}

// recover runs the recovery command on this host.
func (s *service) recover(ctx context.Context, id cluster.NodeID) error {
	err := s.cluster.Recover(ctx, s.nodeName(id))
	var other *cluster.NotLeader
	if errors.As(err, &other) { // the command ended well, and the leader has to attach the node
		return s.attach(ctx, id)
	}
	return err
}

func (s *service) pause(ctx context.Context, paused bool) error {
	if paused {
		return s.order(ctx, orderQuestion{What: "pause"})
	}
	return s.order(ctx, orderQuestion{What: "resume"})
}
