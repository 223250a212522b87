package parser

// maxNesting bounds the depth of the tree that pg_query may build: it and its
// protobuf output recurse on the C stack without a check of their own, and an overflow would
// end the process. The test suite holds trees of this depth.
const maxNesting = 5000

// tooDeep estimates from above how deep the tree of a text gets. Every token
// nests at most one level; brackets keep what was open before them, a comma starts
// anew at its level. UNION and its like nest across commas and are counted apart.
func tooDeep(skeleton []byte, info skeletonInfo, textBytes int) bool {
	if textBytes <= maxNesting {
		return false
	}
	if !info.ok || info.escaped {
		// Without plain tokens, bytes are all there is to count: a level takes two.
		return textBytes > 2*maxNesting
	}
	return deepest(skeleton) > maxNesting
}

func deepest(skeleton []byte) int {
	var open []int // tokens pending at each bracket level around
	depth, here, sets, most := 0, 0, 0, 0
	for i := 0; i < len(skeleton); {
		c := skeleton[i]
		i++
		switch class[c] {
		case space:
			continue
		case ident:
			start := i - 1
			for i < len(skeleton) && continues(skeleton[i]) {
				i++
			}
			if isSetOperation(skeleton[start:i]) {
				sets++
			}
		case quote, dquote:
			for i < len(skeleton) && skeleton[i] != c {
				i++
			}
			i++
		}
		switch c {
		case '(', '[':
			open = append(open, here)
			depth += here + 1
			here = 0
		case ')', ']':
			if n := len(open); n > 0 {
				here = open[n-1] + 1
				depth -= open[n-1] + 1
				open = open[:n-1]
			}
		case ',':
			here = 0
		default:
			here++
		}
		most = max(most, depth+here+sets)
	}
	return most
}

func isSetOperation(word []byte) bool {
	switch len(word) {
	case len("union"):
		return equalFold(string(word), "union")
	case len("except"):
		return equalFold(string(word), "except")
	case len("intersect"):
		return equalFold(string(word), "intersect")
	}
	return false
}
