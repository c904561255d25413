package healthcheck

// Failed is for tests of what a check's error says of its server.
var ResultOf = failed
