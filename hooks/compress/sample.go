package compress

const (
	sampleSize   = 4096
	sampleChunks = 4
)

// looksRandom guesses from 4 KiB of a body, taken at four places, whether its
// bytes are random. It adds up the squares of the 256 byte counts: for n random
// bytes that is n*n/256 + n*255/256, 69,616 here, with a standard deviation of
// sqrt(2*255)*n/256, 361. Text and records lie far above. Regular patterns, such as a
// counter, lie below, because they are more even than chance: they pack well.
//
// Six deviations either way let one random body in hundreds of millions pass.
//
// It is kept out of its caller, whose stack frame every send has while it waits
// for its answer: with the counts in it that frame has 2 KiB, and the stack of an
// asynchronous send 16 KiB instead of 8.
//
//go:noinline
func looksRandom(body []byte) bool {
	if len(body) < sampleSize {
		return false
	}
	var counts [256]int32
	const chunk = sampleSize / sampleChunks
	for i := range sampleChunks {
		start := (len(body) - chunk) / (sampleChunks - 1) * i
		for _, b := range body[start : start+chunk] {
			counts[b]++
		}
	}
	sum := int32(0)
	for _, n := range counts {
		sum += n * n
	}
	const mean, deviation = sampleSize*sampleSize/256 + sampleSize*255/256, 361
	return sum > mean-6*deviation && sum < mean+6*deviation
}
