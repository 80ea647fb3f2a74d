//go:build !purego

#include "textflag.h"

DATA bytes<>+0(SB)/4, $0x0F0F0F0F
DATA bytes<>+4(SB)/4, $0x10101010
DATA bytes<>+8(SB)/4, $0x60606060
DATA bytes<>+12(SB)/4, $0x80808080
GLOBL bytes<>(SB), NOPTR|RODATA, $16

// Y8 to Y10 hold the tables, Y11 to Y14 bytes of 0F, 10, 60 and 80, and Y15
// collects the errors.
#define CONSTANTS \
	VBROADCASTI128 ·pairs+0(SB), Y8   \
	VBROADCASTI128 ·pairs+16(SB), Y9  \
	VBROADCASTI128 ·pairs+32(SB), Y10 \
	VPBROADCASTD   bytes<>+0(SB), Y11 \
	VPBROADCASTD   bytes<>+4(SB), Y12 \
	VPBROADCASTD   bytes<>+8(SB), Y13 \
	VPBROADCASTD   bytes<>+12(SB), Y14

// PAIRS leaves in prev1 the bits that each byte of cur has together with the
// byte before it. It overwrites cur and tmp.
#define PAIRS(cur, prev1, tmp) \
	VPSRLW  $4, prev1, tmp    \
	VPAND   Y11, prev1, prev1 \
	VPAND   Y11, tmp, tmp     \
	VPSHUFB prev1, Y9, prev1  \
	VPSHUFB tmp, Y8, tmp      \
	VPSRLW  $4, cur, cur      \
	VPAND   Y11, cur, cur     \
	VPSHUFB cur, Y10, cur     \
	VPAND   tmp, prev1, prev1 \
	VPAND   cur, prev1, prev1

// A byte is the third or fourth of a character if the one two before it is
// E0 or more, or the one three before it F0 or more. ERRORS takes the greater
// of the two, after F0 has been brought to E0, and leaves bit 80 of it, which
// must be equal to twoMore in pairs.
#define ERRORS(pairs, prev2, prev3) \
	VPSUBUSB Y12, prev3, prev3   \
	VPMAXUB  prev2, prev3, prev3 \
	VPSUBUSB Y13, prev3, prev3   \
	VPAND    Y14, prev3, prev3   \
	VPXOR    pairs, prev3, prev3 \
	VPOR     prev3, Y15, Y15

// func followsAVX2(p []byte) bool
TEXT ·followsAVX2(SB), NOSPLIT, $0-25
	MOVQ p_base+0(FP), SI
	MOVQ p_len+8(FP), CX
	LEAQ -32(SI)(CX*1), DX // where the last 32 bytes are
	ADDQ $3, SI
	VPXOR Y15, Y15, Y15
	CMPQ CX, $35
	JB   short

	// Two blocks of 32 bytes at a time, at SI and DI. The last two lie where
	// they end with p, however much they overlap what has been checked.
	LEAQ -32(DX), R8
	LEAQ 32(DX), R9
	CMPQ CX, $67
	JB   two
	CONSTANTS

loop:
	LEAQ 32(SI), DI

block:
	VMOVDQU   -3(SI), Y0
	VMOVDQU   -3(DI), Y1
	VMOVDQU   (SI), Y2
	VMOVDQU   (DI), Y3
	VPOR      Y2, Y3, Y4
	VPMOVMSKB Y4, AX
	TESTL     AX, AX
	JZ        ascii

check:
	VMOVDQU   -1(SI), Y4
	PAIRS(Y2, Y4, Y5)
	ERRORS(Y4, -2(SI), Y0)
	VMOVDQU   -1(DI), Y6
	PAIRS(Y3, Y6, Y7)
	ERRORS(Y6, -2(DI), Y1)

next:
	CMPQ SI, R8
	JAE  done
	ADDQ $64, SI
	CMPQ SI, R8
	CMOVQHI R8, SI
	JMP  loop

	// Two blocks of ASCII, which need no check if they follow three bytes of
	// it. Then see whether there are 128 bytes more.
ascii:
	VPMOVMSKB Y0, AX
	TESTL     $7, AX
	JNZ       check

more:
	LEAQ      192(SI), AX
	CMPQ      AX, R9
	JA        next
	VMOVDQU   64(SI), Y0
	VMOVDQU   96(SI), Y1
	VPOR      128(SI), Y0, Y0
	VPOR      160(SI), Y1, Y1
	VPOR      Y0, Y1, Y0
	VPMOVMSKB Y0, AX
	TESTL     AX, AX
	JNZ       next
	SUBQ      $-128, SI
	JMP       more

two:
	CONSTANTS
	MOVQ DX, DI
	JMP  block

	// Fewer than 35 bytes: one block of two halves, the last 16 bytes in the
	// upper one.
short:
	CONSTANTS
	VMOVDQU     -3(SI), X0
	VINSERTI128 $1, 13(DX), Y0, Y0
	VMOVDQU     -2(SI), X1
	VINSERTI128 $1, 14(DX), Y1, Y1
	VMOVDQU     -1(SI), X4
	VINSERTI128 $1, 15(DX), Y4, Y4
	VMOVDQU     (SI), X2
	VINSERTI128 $1, 16(DX), Y2, Y2
	PAIRS(Y2, Y4, Y5)
	ERRORS(Y4, Y1, Y0)

done:
	VPTEST Y15, Y15
	SETEQ  ret+24(FP)
	VZEROUPPER
	RET
