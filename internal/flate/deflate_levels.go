package flate

// The match finders.
const (
	findFast   = iota // takes the last position with the same hash
	findBucket        // takes the longest match of the last four or eight positions with the same hash
	findChain         // takes the longest match of many positions with the same hash, which takes more memory
)

// settings are those of a match finder.
type settings struct {
	finder uint8
	wide   uint8 // 1 if a bucket has eight positions, 0 if it has four
	step   uint8 // findBucket puts every step-th byte of a match into the index
	lazy   int   // a match shorter than this gives way to a better one at the next byte
	good   int   // after a match of this length, findChain looks at a quarter of the positions
	nice   int   // a match of this length ends the search of findChain
	depth  int   // the number of positions that findChain looks at
}

// kept are the settings by level with takeover: up to level 6 the index is small.
var kept = [10]settings{
	1: {finder: findFast},
	2: {finder: findBucket, step: 3},
	3: {finder: findBucket, step: 3, lazy: 6},
	4: {finder: findBucket, step: 3, lazy: 12},
	5: {finder: findBucket, step: 3, lazy: 16, wide: 1},
	6: {finder: findBucket, step: 3, lazy: 32, wide: 1},
	7: {finder: findChain, lazy: 32, good: 8, nice: 64, depth: 32},
	8: {finder: findChain, lazy: 128, good: 258, nice: 128, depth: 64},
	9: {finder: findChain, lazy: 258, good: 258, nice: 258, depth: 512},
}

// pooled are the settings by level without takeover: the index is in a pool, so it
// may be large.
var pooled = [10]settings{
	1: {finder: findFast},
	2: {finder: findChain, lazy: 6, good: 8, nice: 16, depth: 3},
	3: {finder: findChain, lazy: 12, good: 8, nice: 32, depth: 4},
	4: {finder: findChain, lazy: 16, good: 8, nice: 64, depth: 6},
	5: {finder: findChain, lazy: 24, good: 8, nice: 64, depth: 12},
	6: {finder: findChain, lazy: 24, good: 258, nice: 128, depth: 16},
	7: {finder: findChain, lazy: 64, good: 16, nice: 64, depth: 32},
	8: {finder: findChain, lazy: 128, good: 258, nice: 128, depth: 64},
	9: {finder: findChain, lazy: 258, good: 258, nice: 258, depth: 512},
}
