package api

import (
	"fmt"
	"net/http"
	"time"
)

// serveExplain answers with the explanation of a transition.
func serveExplain(d Director) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var until time.Time
		if text := r.URL.Query().Get("until"); text != "" {
			var err error
			if until, err = time.Parse(time.RFC3339, text); err != nil {
				answer(w, nil, &Error{Status: http.StatusBadRequest, Err: fmt.Errorf("until: %.100q is not a time such as 2026-01-31T12:00:00Z", text)})
				return
			}
		}
		story, err := d.Explain(r.Context(), r.URL.Query().Get("instance"), until)
		answer(w, story, err)
	}
}
