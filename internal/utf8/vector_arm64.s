//go:build !purego

#include "textflag.h"

// UQSUB is d = n - m in bytes, but not below 0; the assembler has no name for
// it and takes numbers of registers here.
#define UQSUB(m, n, d) WORD $(0x6E202C00 | (m)<<16 | (n)<<5 | (d))

// V16 to V18 hold the tables, V19 to V22 bytes of 0F, 10, 60 and 80, and V23
// collects the errors.
//
// CHECK judges the 16 bytes at R+off, of which those at R+off-3 are in V0.
// It overwrites V0 to V4.
//
// V1 becomes the bits that each byte has in pairs, together with the byte
// before it. A byte is the third or fourth of a character if the one two
// before it is E0 or more, or the one three before it F0 or more: V0 becomes
// the greater of the two, after F0 has been brought to E0, and then bit 80 of
// it, which must be equal to twoMore in V1.
#define CHECK(R, off) \
	FMOVQ (off-1)(R), F1                \
	FMOVQ (off)(R), F2                  \
	FMOVQ (off-2)(R), F3                \
	VUSHR $4, V1.B16, V4.B16            \
	VAND  V19.B16, V1.B16, V1.B16       \
	VUSHR $4, V2.B16, V2.B16            \
	VTBL  V4.B16, [V16.B16], V4.B16     \
	VTBL  V1.B16, [V17.B16], V1.B16     \
	VTBL  V2.B16, [V18.B16], V2.B16     \
	VAND  V4.B16, V1.B16, V1.B16        \
	VAND  V2.B16, V1.B16, V1.B16        \
	UQSUB(20, 0, 0)                     \
	VUMAX V3.B16, V0.B16, V0.B16        \
	UQSUB(21, 0, 0)                     \
	VAND  V22.B16, V0.B16, V0.B16       \
	VEOR  V1.B16, V0.B16, V0.B16        \
	VORR  V0.B16, V23.B16, V23.B16

// func follows(p []byte) bool
TEXT ·follows(SB), NOSPLIT, $0-25
	MOVD  p_base+0(FP), R0
	MOVD  p_len+8(FP), R1
	ADD   R0, R1, R1
	SUB   $16, R1, R2       // where the last 16 bytes are
	ADD   $3, R0
	MOVD  $·pairs(SB), R3
	VLD1  (R3), [V16.B16, V17.B16, V18.B16]
	VMOVI $0x0F, V19.B16
	VMOVI $0x10, V20.B16
	VMOVI $0x60, V21.B16
	VMOVI $0x80, V22.B16
	VEOR  V23.B16, V23.B16, V23.B16

	// Four blocks at a time, unless all they depend on is ASCII.
loop:
	SUB   R0, R1, R4
	CMP   $64, R4
	BLT   rest
	FMOVQ -3(R0), F0
	FMOVQ 13(R0), F5
	FMOVQ 29(R0), F6
	FMOVQ 45(R0), F7
	FMOVQ 48(R0), F1
	VORR  V0.B16, V5.B16, V2.B16
	VORR  V6.B16, V7.B16, V3.B16
	VORR  V1.B16, V2.B16, V2.B16
	VORR  V2.B16, V3.B16, V2.B16
	VMOV  V2.D[0], R4
	VMOV  V2.D[1], R5
	ORR   R4, R5, R5
	TST   $0x8080808080808080, R5
	BEQ   next
	CHECK(R0, 0)
	VORR  V5.B16, V5.B16, V0.B16
	CHECK(R0, 16)
	VORR  V6.B16, V6.B16, V0.B16
	CHECK(R0, 32)
	VORR  V7.B16, V7.B16, V0.B16
	CHECK(R0, 48)

next:
	ADD $64, R0
	B   loop

	// One block at a time. The last lies where it ends with p, however much
	// it overlaps what has been checked.
rest:
	CMP   R2, R0
	BHS   last
	FMOVQ -3(R0), F0
	CHECK(R0, 0)
	ADD   $16, R0
	B     rest

last:
	FMOVQ -3(R2), F0
	CHECK(R2, 0)
	VMOV  V23.D[0], R4
	VMOV  V23.D[1], R5
	ORR   R4, R5, R5
	CMP   $0, R5
	CSET  EQ, R5
	MOVB  R5, ret+24(FP)
	RET
