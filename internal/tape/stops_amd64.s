#include "textflag.h"

// func stopsIn64(dst, src *byte, blocks int)
//
// For each block of 64 bytes: a bit for every byte that is a quote, a backslash, below 0x20
// or above 0x7f. PMOVMSKB takes the highest bit of each byte, so the last of the four needs
// no comparison. SSE2 is part of every amd64.
TEXT ·stopsIn64(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	MOVQ $0x2222222222222222, AX
	MOVQ AX, X8
	PUNPCKLQDQ X8, X8
	MOVQ $0x5c5c5c5c5c5c5c5c, AX
	MOVQ AX, X9
	PUNPCKLQDQ X9, X9
	MOVQ $0x1f1f1f1f1f1f1f1f, AX
	MOVQ AX, X10
	PUNPCKLQDQ X10, X10

#define STOPS(offset, X, Q, B, OUT) \
	MOVOU offset(SI), X \
	MOVO X, Q           \
	MOVO X, B           \
	PCMPEQB X8, Q       \
	PCMPEQB X9, B       \
	POR B, Q            \
	POR X, Q            \
	MOVO X, B           \
	PMINUB X10, B       \
	PCMPEQB X, B        \
	POR B, Q            \
	PMOVMSKB Q, OUT

	TESTQ CX, CX
	JZ done
block:
	STOPS(0, X0, X1, X2, AX)
	STOPS(16, X3, X4, X5, BX)
	STOPS(32, X0, X1, X2, DX)
	STOPS(48, X3, X4, X5, R8)
	SHLQ $16, BX
	SHLQ $32, DX
	SHLQ $48, R8
	ORQ BX, AX
	ORQ R8, DX
	ORQ DX, AX
	MOVQ AX, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JNZ block
done:
	RET
