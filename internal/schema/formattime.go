package schema

// Dates and times of RFC 3339 §5.6 and appendix A.

func twoDigits(s []byte) (int, bool) {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), true
}

func isDate(s []byte) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	century, ok1 := twoDigits(s)
	year, ok2 := twoDigits(s[2:])
	month, ok3 := twoDigits(s[5:])
	day, ok4 := twoDigits(s[8:])
	year += century * 100
	return ok1 && ok2 && ok3 && ok4 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

func isDateTime(s []byte, offset bool) bool {
	return len(s) > 10 && (s[10] == 'T' || s[10] == 't') && isDate(s[:10]) && isTime(s[11:], offset)
}

// isTime reads a time with its offset, or without one. Second 60 is good where it is 23:59 UTC;
// a time without offset may be that anywhere.
func isTime(s []byte, offset bool) bool {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return false
	}
	hour, ok1 := twoDigits(s)
	minute, ok2 := twoDigits(s[3:])
	second, ok3 := twoDigits(s[6:])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return false
	}
	s = s[8:]
	if len(s) > 0 && s[0] == '.' {
		n := countDigits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if !offset {
		return len(s) == 0
	}
	ahead, ok := readOffset(s)
	if !ok {
		return false
	}
	utc := (hour*60 + minute - ahead + 2*24*60) % (24 * 60)
	return second < 60 || utc == 23*60+59
}

// readOffset reads Z or ±hh:mm and gives the minutes ahead of UTC.
func readOffset(s []byte) (int, bool) {
	if len(s) == 1 && (s[0] == 'Z' || s[0] == 'z') {
		return 0, true
	}
	if len(s) != 6 || s[3] != ':' || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hour, ok1 := twoDigits(s[1:])
	minute, ok2 := twoDigits(s[4:])
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return 0, false
	}
	ahead := hour*60 + minute
	if s[0] == '-' {
		ahead = -ahead
	}
	return ahead, true
}

func countDigits(s []byte) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// isDuration reads RFC 3339's grammar: weeks alone, or units from large to small of which none
// is left out between two others.
func isDuration(s []byte) bool {
	if len(s) < 2 || s[0] != 'P' {
		return false
	}
	s = s[1:]
	if n := countDigits(s); n > 0 && n == len(s)-1 && s[n] == 'W' {
		return true
	}
	rest, dates := readUnits(s, "YMD")
	if !dates && len(rest) == len(s) && (len(s) == 0 || s[0] != 'T') {
		return false
	}
	if len(rest) == 0 {
		return dates
	}
	if rest[0] != 'T' {
		return false
	}
	rest, times := readUnits(rest[1:], "HMS")
	return times && len(rest) == 0
}

// readUnits reads digits and unit as often as they stand there in unbroken order.
func readUnits(s []byte, units string) (rest []byte, any bool) {
	next := -1
	for len(s) > 0 {
		n := countDigits(s)
		if n == 0 || n == len(s) {
			break
		}
		at := -1
		for i := range units {
			if units[i] == s[n] {
				at = i
			}
		}
		if at < 0 || next >= 0 && at != next {
			break
		}
		next, any = at+1, true
		s = s[n+1:]
	}
	return s, any
}
