package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// configure writes the shard's config.json: the suite's configuration of that
// name, with the shard's cases and the given changes.
func (s *shard) configure(name string, changes map[string]any) error {
	p, err := suiteFiles.ReadFile("suite/" + name + ".json")
	if err != nil {
		return err
	}
	config := make(map[string]any)
	if err := json.Unmarshal(p, &config); err != nil {
		return err
	}
	config["cases"] = s.cases
	maps.Copy(config, changes)
	if p, err = json.MarshalIndent(config, "", "\t"); err != nil {
		return err
	}
	return os.WriteFile(s.path("config.json"), append(p, '\n'), 0o644)
}

// indexEntry is the entry of a case in the suite's index.json.
type indexEntry struct {
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
	CloseCode     *int   `json:"remoteCloseCode"`
	Duration      int    `json:"duration"` // milliseconds
	ReportFile    string `json:"reportfile"`
}

// results reads what the suite has reported. An error does not mean that
// there are none.
func (s *shard) results() (map[string]result, error) {
	p, err := os.ReadFile(s.path("index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("wstest has written no index.json")
	} else if err != nil {
		return nil, err
	}
	entries, err := parseIndex(p, s.cases)
	if entries == nil {
		return nil, err
	}
	problems := []error{err}
	found := make(map[string]result, len(entries))
	for id, e := range entries {
		res := result{
			ID:       id,
			outcome:  outcome{e.Behavior, e.BehaviorClose},
			Duration: time.Duration(e.Duration) * time.Millisecond,
			Page:     path.Join(filepath.ToSlash(s.dir), strings.TrimSuffix(e.ReportFile, ".json")+".html"),
		}
		if e.CloseCode != nil {
			res.CloseCode = *e.CloseCode
		}
		// The reasons are in the case's own file.
		var detail struct {
			ID          string `json:"id"`
			Result      string `json:"result"`
			ResultClose string `json:"resultClose"`
		}
		p, err := os.ReadFile(s.path(filepath.Base(e.ReportFile)))
		if err == nil {
			err = json.Unmarshal(p, &detail)
		}
		if err == nil && detail.ID != id {
			err = fmt.Errorf("it is about case %q", detail.ID)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("report of case %s: %w", id, err))
		}
		res.Reason, res.CloseReason = detail.Result, detail.ResultClose
		found[id] = res
	}
	return found, errors.Join(problems...)
}

// parseIndex decodes an index.json, in which the cases asked for have to be,
// and nothing else, for our agent and for no other. Cases that are missing are
// not its business.
func parseIndex(p []byte, asked []string) (map[string]indexEntry, error) {
	var agents map[string]map[string]indexEntry
	if err := json.Unmarshal(p, &agents); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(agents)) {
		if name != agent {
			problems = append(problems, fmt.Errorf("index.json has results of somebody else: %q", name))
		}
	}
	entries := agents[agent]
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		if !slices.Contains(asked, id) {
			problems = append(problems, fmt.Errorf("index.json has case %s, which was not asked for", id))
			delete(entries, id)
		}
	}
	if entries == nil {
		problems = append(problems, errors.New("index.json has no results of ours"))
	}
	return entries, errors.Join(problems...)
}

// reportMark is in every directory that we have made or found empty, and that
// we therefore may clean up.
const reportMark = ".autobahn-report"

// prepareReportDir prepares a directory for reports and removes those of an
// earlier run. A directory with anything else in it is refused.
func prepareReportDir(dir string, sides []string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	marked := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == reportMark })
	if len(entries) > 0 && !marked {
		return "", &usageError{fmt.Sprintf("-report: %s holds something other than reports of ours", dir)}
	}
	for _, side := range sides {
		if err := os.RemoveAll(filepath.Join(dir, side)); err != nil {
			return "", err
		}
	}
	return dir, os.WriteFile(filepath.Join(dir, reportMark), nil, 0o644)
}
