package lab

import (
	"math/rand/v2"
	"os"
	"strconv"
)

// Environment variables of tests that generate their input.
const (
	EnvSeed  = "LVS_HA_SEED"  // seed of the generated input; default 1
	EnvTimes = "LVS_HA_TIMES" // factor for the amount of input; default 1
)

// Generate returns the source of a test's generated input and the amount to generate: usual, multiplied by the
// environment's factor.
func Generate(t TB, usual int) (random *rand.Rand, times int) {
	t.Helper()
	seed, times := Seed(t, usual)
	return rand.New(rand.NewPCG(seed, 0)), times
}

// Seed is Generate for tests that create their own sources from the seed.
func Seed(t TB, usual int) (seed uint64, times int) {
	t.Helper()
	seed = number(t, EnvSeed)
	t.Logf("%s=%d", EnvSeed, seed)
	return seed, usual * int(number(t, EnvTimes))
}

func number(t TB, name string) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		t.Fatalf("%s=%s: write a number from 1", name, text)
	}
	return n
}
