package flate

// findFast skips more and more bytes while it finds no match.
func (t *history) findFast(w *blockWriter, buf []byte, base uint32, i, stop int) int {
	window := 1 << t.windowBits
	shift := 32 - t.indexBits
	index := t.index[:1<<t.indexBits]
	start := i - w.lits // of the literals that no match follows yet
	last := min(stop, len(buf)-hashed+1)
	for i < last {
		v := load32(buf, i)
		h := hash4(v, shift)
		pos := at(base, i)
		d := int(pos - index[h])
		index[h] = pos
		if uint(d-1) >= uint(min(i, window)) || load32(buf, i-d) != v {
			w.lit.freq[byte(v)]++
			i++
			if skip := (i - start) >> 5; skip > 0 {
				skip = min(skip, stop-i)
				w.count(buf[i:][:skip])
				i += skip
			}
			continue
		}
		n := matchLen(buf, i, i-d)
		for i > start && i-d > 0 && n < maxMatch && buf[i-1] == buf[i-d-1] {
			i--
			n++
			w.lit.freq[buf[i]]--
		}
		w.match(i-start, n, d)
		i += n
		start = i
		if i-2 < last {
			index[hash4(load32(buf, i-2), shift)] = at(base, i-2)
		}
	}
	return w.finish(buf, start, i, stop, 0, 0)
}
