#include "go_asm.h"
#include "textflag.h"

// func readMembers(c *cursor) way
//
// The steps are those of portableMembers. In the registers:
//
//	DI  c            SI  src           R9  stops
//	R12 slots        R13 their mask    R15 members
//	R8  the index behind the name's first quote, later behind the value
//	BX  the name's size, later its judge
//	DX  where the value begins
//	R10 what its first byte says
//	R11 the name's hash, later the node
//
// TZCNTQ is BSFQ to processors that do not know it: for a word that is not zero they say the
// same, and where it may be zero, either result fails at the next comparison.
TEXT ·readMembers(SB), NOSPLIT, $0-16
	MOVQ c+0(FP), DI
	MOVQ cursor_src(DI), SI
	MOVQ cursor_stops(DI), R9
	MOVQ cursor_slots(DI), R12
	MOVQ (cursor_slots+8)(DI), R13
	DECQ R13
	MOVQ cursor_members(DI), R15
	MOVQ cursor_at(DI), R8

member:
	LEAQ const_ahead(R8), AX
	CMPQ AX, (cursor_src+8)(DI)
	JHI  nearEnd

sized:
	// The name's size: up to the next stop, which must be its quote.
	MOVQ    R8, AX
	SHRQ    $3, AX
	MOVQ    (R9)(AX*1), AX
	MOVL    R8, CX
	ANDL    $7, CX
	SHRQ    CX, AX
	TESTQ   AX, AX
	JZ      atName
	TZCNTQ  AX, BX
	CMPQ    BX, $32
	JHI     atName
	LEAQ    (SI)(R8*1), R10
	MOVWLZX (R10)(BX*1), AX
	CMPL    AX, $0x3a22
	JNE     atName

	// Its first bytes, filled up with zeros, in X0 and X1, and its hash.
	MOVQ  BX, AX
	SHLQ  $5, AX
	LEAQ  ·firsts(SB), R11
	ADDQ  AX, R11
	MOVOU (R10), X0
	MOVOU (R11), X2
	PAND  X2, X0
	MOVOU 16(R10), X1
	MOVOU 16(R11), X3
	PAND  X3, X1
	MOVQ  (R10), AX
	ANDQ  (R11), AX
	MOVQ  $const_hashStart, CX
	XORQ  CX, AX
	MOVQ  8(R10), CX
	ANDQ  8(R11), CX
	MOVQ  $const_hashWord, DX
	XORQ  DX, CX
	MULQ  CX
	XORQ  DX, AX
	MOVQ  AX, CX
	MOVQ  16(R10), AX
	ANDQ  16(R11), AX
	MOVQ  $const_hashThird, DX
	XORQ  DX, AX
	MOVQ  24(R10), R10
	ANDQ  24(R11), R10
	MOVQ  $const_hashLast, DX
	XORQ  DX, R10
	MULQ  R10
	XORQ  DX, CX
	XORQ  AX, CX
	MOVQ  CX, R11

	// Is it listed? Then its judge is in the same line.
	MOVQ     R11, DX
	MOVQ     cursor_shift(DI), CX
	SHRQ     CX, DX
	ANDQ     R13, DX
	MOVWLZX  (R12)(DX*2), DX
	TESTL    DX, DX
	JZ       unlisted
	DECQ     DX
	MOVQ     DX, CX
	SHLQ     $6, CX
	ADDQ     R15, CX
	MOVOU    (CX), X2
	PCMPEQB  X0, X2
	MOVOU    16(CX), X3
	PCMPEQB  X1, X3
	PAND     X3, X2
	PMOVMSKB X2, AX
	CMPL     AX, $0xffff
	JNE      atName
	CMPL     BX, Member_size(CX)
	JNE      atName
	CMPL     Member_Rule(CX), $-1
	JEQ      atName

	// Once only.
	MOVQ  DX, AX
	SHRQ  $6, AX
	MOVQ  cursor_met(DI), R10
	LEAQ  (R10)(AX*8), R10
	MOVQ  (R10), AX
	BTSQ  DX, AX
	JCS   atName
	MOVQ  AX, (R10)
	MOVL  Member_Required(CX), AX
	ADDQ  AX, cursor_required(DI)
	ADDQ  $Member_judge, CX

judged:
	// The node's part of the name.
	MOVQ cursor_used(DI), AX
	SHLQ $5, AX
	ADDQ cursor_nodes(DI), AX
	MOVL R11, Node_Hash(AX)
	MOVQ AX, R11
	MOVL R8, Node_KeyOff(R11)
	LEAQ (R8)(BX*1), DX
	MOVL DX, Node_KeyEnd(R11)
	MOVQ CX, BX

	// The value, behind a colon and perhaps a space.
	ADDQ    $2, DX
	MOVBLZX (SI)(DX*1), AX
	CMPL    AX, $0x20
	JNE     begins
	INCQ    DX
	MOVBLZX (SI)(DX*1), AX

begins:
	LEAQ    ·starts(SB), R10
	SHLQ    $6, AX
	ADDQ    AX, R10
	LEAQ    1(DX), CX
	MOVQ    CX, AX
	SHRQ    $3, AX
	MOVQ    (R9)(AX*1), AX
	ANDL    $7, CX
	SHRQ    CX, AX
	TZCNTQ  AX, CX
	ANDQ    start_stop(R10), CX
	ADDQ    start_size(R10), CX
	ADDQ    DX, CX
	CMPQ    CX, (cursor_src+8)(DI)
	JCC     atValue
	MOVQ    (SI)(DX*1), AX
	XORQ    start_word(R10), AX
	ANDQ    start_mask(R10), AX
	JNZ     atValue
	MOVBLZX -1(SI)(CX*1), AX
	CMPB    AX, start_last(R10)
	JNE     digits

	// The node's part of the value.
	MOVBLZX start_kind(R10), AX
	MOVL    AX, Node_Kind(R11)      // and no flags
	MOVL    $0, Node_Count(R11)
	MOVL    start_quote(R10), AX
	ADDL    DX, AX
	MOVL    AX, Node_Off(R11)
	MOVL    CX, AX
	SUBL    start_quote(R10), AX
	MOVL    AX, Node_End(R11)
	MOVQ    cursor_used(DI), AX
	INCQ    AX
	MOVQ    AX, cursor_used(DI)
	MOVL    AX, Node_Next(R11)

	// Its act: nothing for a string that is short.
	MOVQ    CX, R8
	MOVL    CX, AX
	SUBL    DX, AX
	SUBL    $2, AX
	ORL     start_notString(R10), AX
	CMPL    AX, judge_Short(BX)
	SBBL    DX, DX
	NOTL    DX
	MOVBLZX start_shift(R10), CX
	MOVL    judge_Acts(BX), AX
	SHRL    CX, AX
	ANDL    $3, AX
	ANDL    DX, AX

judge:
	MOVL    AX, DX
	ORL     judge_Mark(BX), DX
	JNZ     later

comma:
	CMPB    (SI)(R8*1), $0x2c
	JNE     behind
	LEAQ    1(R8), CX

space:
	CMPQ    CX, (cursor_src+8)(DI)
	JCC     behind
	MOVBLZX (SI)(CX*1), AX
	INCQ    CX
	CMPL    AX, $0x22
	JEQ     again
	CMPL    AX, $0x20
	JEQ     space
	CMPL    AX, $0x0a
	JEQ     space
	CMPL    AX, $0x0d
	JEQ     space
	CMPL    AX, $0x09
	JEQ     space
	JMP     behind

again:
	// Is there room for one more?
	MOVQ cursor_left(DI), AX
	SUBQ $1, AX
	JCS  behind
	MOVQ cursor_used(DI), DX
	CMPQ DX, (cursor_nodes+8)(DI)
	JCC  behind
	CMPQ cursor_todo(DI), $16
	JEQ  behind
	MOVQ AX, cursor_left(DI)
	MOVQ CX, R8
	JMP  member

digits:
	// A whole number: how many of the next 16 bytes are digits?
	CMPB start_what(R10), $const_aDigit
	JNE  atValue
	MOVQ $0x3030303030303030, AX
	MOVQ $0x7676767676767676, R10
	MOVQ 1(SI)(DX*1), CX
	XORQ AX, CX
	ADDQ CX, R10
	ORQ  CX, R10
	MOVQ $0x8080808080808080, CX
	ANDQ CX, R10
	JZ   many
	TZCNTQ R10, R10
	SHRQ $3, R10
	JMP  counted

many:
	MOVQ 9(SI)(DX*1), CX
	XORQ AX, CX
	MOVQ $0x7676767676767676, R10
	ADDQ CX, R10
	ORQ  CX, R10
	MOVQ $0x8080808080808080, CX
	ANDQ CX, R10
	JZ   atValue                    // 17 of them, at least
	TZCNTQ R10, R10
	SHRQ $3, R10
	ADDQ $8, R10

counted:
	INCQ    R10
	CMPQ    R10, cursor_digits(DI)
	JHI     atValue
	ADDQ    DX, R10
	CMPQ    R10, (cursor_src+8)(DI)
	JCC     atValue
	MOVBLZX (SI)(R10*1), AX
	CMPL    AX, $0x2b
	JEQ     atValue
	CMPL    AX, $0x2c
	JLS     ended
	CMPL    AX, $0x7d
	JEQ     ended
	CMPL    AX, $0x5d
	JNE     atValue

ended:
	MOVL $(const_Number + const_Whole*256), Node_Kind(R11)
	MOVL $0, Node_Count(R11)
	MOVL DX, Node_Off(R11)
	MOVL R10, Node_End(R11)
	MOVQ cursor_used(DI), AX
	INCQ AX
	MOVQ AX, cursor_used(DI)
	MOVL AX, Node_Next(R11)
	MOVQ R10, R8
	MOVL judge_Acts(BX), AX
	SHRL $(2*const_wholeNumber), AX
	ANDL $3, AX
	JMP  judge

later:
	MOVQ cursor_todo(DI), DX
	MOVQ DX, CX
	SHLQ $4, CX
	LEAQ cursor_later(DI)(CX*1), CX
	INCQ DX
	MOVQ DX, cursor_todo(DI)
	MOVL AX, todo_act(CX)
	MOVL judge_rule(BX), AX
	MOVL AX, todo_rule(CX)
	MOVQ cursor_used(DI), AX
	DECQ AX
	MOVL AX, todo_node(CX)
	JMP  comma

nearEnd:
	// From here on the text is read from its copy, behind which there is room.
	CMPQ R8, (cursor_src+8)(DI)
	JCC  atName
	LEAQ cursor_tail(DI), SI
	SUBQ cursor_tailFrom(DI), SI
	JMP  sized

unlisted:
	MOVQ  cursor_other(DI), CX
	TESTQ CX, CX
	JZ    atName
	INCQ  cursor_unlisted(DI)
	JMP   judged

atName:
	MOVQ R8, cursor_at(DI)
	MOVQ $const_atName, ret+8(FP)
	RET

atValue:
	MOVB $0, Node_Flags(R11)
	MOVQ DX, cursor_at(DI)
	MOVL judge_rule(BX), AX
	MOVQ AX, cursor_rule(DI)
	MOVQ $const_atValue, ret+8(FP)
	RET

behind:
	MOVQ R8, cursor_at(DI)
	MOVQ $const_behind, ret+8(FP)
	RET
