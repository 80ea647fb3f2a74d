//go:build !purego && !race

#include "textflag.h"

// All functions here mask n >= 64 bytes from src to dst, which are apart or
// the same memory. k is the key, twice, turned to the first byte.
//
// No size is worth a loop over single bytes at its end. Instead the last bytes
// are done as whole vectors that end with the input and overlap what was done
// before. In place that must not mask a byte twice, so these vectors are
// loaded before the first store, and stored after the others. They need the
// key turned by n bytes.

// func xorVector(dst, src *byte, n int, k uint64)
//
// This is AVX2; SSE2 and AVX-512 are a jump away. Y0 is the key, Y1 the key
// for the end.
TEXT ·xorVector(SB), NOSPLIT, $0-32
	CMPB         ·useAVX2(SB), $0
	JEQ          sse2
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         n+16(FP), DX
	MOVQ         k+24(FP), AX
	VPBROADCASTQ k+24(FP), Y0
	CMPQ         DX, $128
	JB           narrow

	// The last 128 bytes are in Y10 to Y13 until all others are stored.
	MOVQ         AX, BX
	LEAQ         (DX*8), CX
	RORQ         CX, BX
	VMOVQ        BX, X1
	VPBROADCASTQ X1, Y1
	VPXOR        -128(SI)(DX*1), Y1, Y10
	VPXOR        -96(SI)(DX*1), Y1, Y11
	VPXOR        -64(SI)(DX*1), Y1, Y12
	VPXOR        -32(SI)(DX*1), Y1, Y13
	LEAQ         -128(DI)(DX*1), R8
	CMPQ         DX, $256
	JA           long

	// Up to 256 bytes: the first 128, and that is all.
	VPXOR   (SI), Y0, Y2
	VPXOR   32(SI), Y0, Y3
	VPXOR   64(SI), Y0, Y4
	VPXOR   96(SI), Y0, Y5
	VMOVDQU Y2, (DI)
	VMOVDQU Y3, 32(DI)
	VMOVDQU Y4, 64(DI)
	VMOVDQU Y5, 96(DI)

end:
	VMOVDQU Y10, (R8)
	VMOVDQU Y11, 32(R8)
	VMOVDQU Y12, 64(R8)
	VMOVDQU Y13, 96(R8)
	VZEROUPPER
	RET

	// More: the first 64 bytes wait in Y8 and Y9. From the first multiple of
	// 64 in dst that is after its beginning, the loop does blocks of 128
	// bytes, no store of which is across cache lines. It does those that
	// begin before the last 128 bytes, at R8; it may well get into these.
long:
	VPXOR        (SI), Y0, Y8
	VPXOR        32(SI), Y0, Y9
	MOVQ         DI, R9
	LEAQ         64(DI), BX
	ANDQ         $~63, BX
	SUBQ         DI, BX
	ADDQ         BX, SI
	ADDQ         BX, DI
	LEAQ         (BX*8), CX
	RORQ         CX, AX
	VMOVQ        AX, X0
	VPBROADCASTQ X0, Y0
	CMPB         ·useAVX512(SB), $0
	JNE          avx512

	PCALIGN $32
block:
	VPXOR   (SI), Y0, Y2
	VPXOR   32(SI), Y0, Y3
	VPXOR   64(SI), Y0, Y4
	VPXOR   96(SI), Y0, Y5
	VMOVDQU Y2, (DI)
	VMOVDQU Y3, 32(DI)
	VMOVDQU Y4, 64(DI)
	VMOVDQU Y5, 96(DI)
	SUBQ    $-128, SI
	SUBQ    $-128, DI
	CMPQ    DI, R8
	JB      block
	VMOVDQU Y8, (R9)
	VMOVDQU Y9, 32(R9)
	JMP     end

	// The same with a whole cache line in a register.
avx512:
	VPBROADCASTQ X0, Z0

	PCALIGN $32
block512:
	VPXORQ    (SI), Z0, Z2
	VPXORQ    64(SI), Z0, Z3
	VMOVDQU64 Z2, (DI)
	VMOVDQU64 Z3, 64(DI)
	SUBQ      $-128, SI
	SUBQ      $-128, DI
	CMPQ      DI, R8
	JB        block512
	VMOVDQU   Y8, (R9)
	VMOVDQU   Y9, 32(R9)
	JMP       end

	// 64 to 127 bytes apart: two vectors from the beginning, two to the end.
narrow:
	CMPQ         SI, DI
	JEQ          inplace
	LEAQ         (DX*8), CX
	RORQ         CX, AX
	VMOVQ        AX, X1
	VPBROADCASTQ X1, Y1
	VPXOR        (SI), Y0, Y2
	VPXOR        32(SI), Y0, Y3
	VPXOR        -64(SI)(DX*1), Y1, Y4
	VPXOR        -32(SI)(DX*1), Y1, Y5
	VMOVDQU      Y2, (DI)
	VMOVDQU      Y3, 32(DI)
	VMOVDQU      Y4, -64(DI)(DX*1)
	VMOVDQU      Y5, -32(DI)(DX*1)
	VZEROUPPER
	RET

inplace:
	JMP xorInPlace<>(SB)

sse2:
	JMP ·xorSSE2(SB)

// xorInPlace goes on for xorVector with 64 to 127 bytes in place.
//
// Overlapping stores would do, too. But a load of bytes that came from more
// than one store waits until these have reached the cache, which takes longer
// than all the rest, and with so few bytes somebody will soon load them. So
// the pieces of 32, 16, 8, 4, 2 and 1 bytes after the first 64 are those in
// n's binary digits. A branch on such a digit would be guessed wrong every
// other time. Hence no branch: every piece is masked, and one that n does not
// have is a piece of the frame instead.
//
// The piece of 2^i bytes begins at n with its last i+1 digits cleared, and in
// the frame at a multiple of 2^(i+1), which is subtracted first and added
// again in the address. So R8, the frame less SI, serves all of them.
TEXT xorInPlace<>(SB), NOSPLIT, $64-32
	LEAQ    idle-64(SP), R8
	SUBQ    SI, R8
	VPXOR   (SI), Y0, Y2
	VPXOR   32(SI), Y0, Y3
	VMOVDQU Y2, (SI)
	VMOVDQU Y3, 32(SI)

	MOVL    DX, BX
	ANDL    $~63, BX
	TESTL   $32, DX
	CMOVQEQ R8, BX
	VPXOR   (SI)(BX*1), Y0, Y2
	VMOVDQU Y2, (SI)(BX*1)

	LEAL    -32(DX), CX
	ANDL    $~31, CX
	TESTL   $16, DX
	CMOVQEQ R8, CX
	VPXOR   32(SI)(CX*1), X0, X3
	VMOVDQU X3, 32(SI)(CX*1)

	LEAL    -48(DX), R9
	ANDL    $~15, R9
	TESTL   $8, DX
	CMOVQEQ R8, R9
	XORQ    AX, 48(SI)(R9*1)

	LEAL    -56(DX), R10
	ANDL    $~7, R10
	TESTL   $4, DX
	CMOVQEQ R8, R10
	XORL    AX, 56(SI)(R10*1)

	// Behind two more bytes, the last one is under the third of the key.
	MOVL    AX, R12
	SHRL    $16, R12
	LEAL    -60(DX), R11
	ANDL    $~3, R11
	TESTL   $2, DX
	CMOVQEQ R8, R11
	CMOVLEQ AX, R12
	XORW    AX, 60(SI)(R11*1)

	LEAL    -62(DX), BX
	ANDL    $~1, BX
	TESTL   $1, DX
	CMOVQEQ R8, BX
	XORB    R12, 62(SI)(BX*1)
	VZEROUPPER
	RET

// func xorSSE2(dst, src *byte, n int, k uint64)
//
// Blocks of 64 bytes from the beginning, and the last 64 bytes in X10 to X13
// until all others are stored. X0 is the key, X1 the key for the end.
TEXT ·xorSSE2(SB), NOSPLIT, $0-32
	MOVQ       dst+0(FP), DI
	MOVQ       src+8(FP), SI
	MOVQ       n+16(FP), DX
	MOVQ       k+24(FP), AX
	MOVQ       AX, X0
	PUNPCKLQDQ X0, X0
	LEAQ       (DX*8), CX
	RORQ       CX, AX
	MOVQ       AX, X1
	PUNPCKLQDQ X1, X1
	MOVOU      -64(SI)(DX*1), X10
	MOVOU      -48(SI)(DX*1), X11
	MOVOU      -32(SI)(DX*1), X12
	MOVOU      -16(SI)(DX*1), X13
	PXOR       X1, X10
	PXOR       X1, X11
	PXOR       X1, X12
	PXOR       X1, X13
	LEAQ       -64(DI)(DX*1), R8

	// At least one block, and as many as begin before the last 64 bytes.
block:
	MOVOU (SI), X2
	MOVOU 16(SI), X3
	MOVOU 32(SI), X4
	MOVOU 48(SI), X5
	PXOR  X0, X2
	PXOR  X0, X3
	PXOR  X0, X4
	PXOR  X0, X5
	MOVOU X2, (DI)
	MOVOU X3, 16(DI)
	MOVOU X4, 32(DI)
	MOVOU X5, 48(DI)
	ADDQ  $64, SI
	ADDQ  $64, DI
	CMPQ  DI, R8
	JB    block

	MOVOU X10, (R8)
	MOVOU X11, 16(R8)
	MOVOU X12, 32(R8)
	MOVOU X13, 48(R8)
	RET
