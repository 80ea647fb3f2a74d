//go:build !purego && !race

#include "textflag.h"

// func xorNEON(dst, src *byte, n int, k uint64)
//
// Blocks of 64 bytes from the beginning, and the last 64 bytes, which overlap
// the last block unless n is a multiple of 64. src may be dst, so the last
// bytes are loaded before any is stored, and stored after all the others:
// what the last block did to them is overwritten.
TEXT ·xorNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	MOVD k+24(FP), R3
	VDUP R3, V16.D2

	// The key at n-64, which is the key turned by n bytes.
	LSL  $3, R2, R4
	ROR  R4, R3, R4
	VDUP R4, V17.D2

	// R5 and R6 are the last 64 bytes of src and dst, R2 what is before them.
	SUB  $64, R2
	ADD  R2, R1, R5
	ADD  R2, R0, R6
	VLD1 (R5), [V4.B16, V5.B16, V6.B16, V7.B16]
	VEOR V17.B16, V4.B16, V4.B16
	VEOR V17.B16, V5.B16, V5.B16
	VEOR V17.B16, V6.B16, V6.B16
	VEOR V17.B16, V7.B16, V7.B16

	// At least one block, and as many as begin before the last 64 bytes.
block:
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	VEOR   V16.B16, V0.B16, V0.B16
	VEOR   V16.B16, V1.B16, V1.B16
	VEOR   V16.B16, V2.B16, V2.B16
	VEOR   V16.B16, V3.B16, V3.B16
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	SUBS   $64, R2
	BGT    block

	VST1 [V4.B16, V5.B16, V6.B16, V7.B16], (R6)
	RET
