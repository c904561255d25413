package healthcheck

// ResultOf is failed, for tests of error descriptions.
var ResultOf = failed
