//go:build !purego

#include "textflag.h"

DATA bytes512<>+0(SB)/4, $0x0F0F0F0F
DATA bytes512<>+4(SB)/4, $0x10101010
DATA bytes512<>+8(SB)/4, $0x60606060
DATA bytes512<>+12(SB)/4, $0x80808080
// The matrix that moves the upper four bits of a byte to the lower four.
DATA bytes512<>+16(SB)/8, $0x1020408000000000
GLOBL bytes512<>(SB), NOPTR|RODATA, $24

// CHECK judges the 64 bytes at off(SI), which are in cur, with those three
// places before them in prev3. It does what PAIRS and ERRORS do in
// avx2_amd64.s, with Z8 to Z15 as there and the matrix in Z16, and
// overwrites cur, prev3, prev1 and tmp. The two VPTERNLOGD are
// cur & tmp & prev1 and cur ^ prev3 & Z14, by their truth tables.
#define CHECK(off, cur, prev3, prev1, tmp) \
	VMOVDQU64      (off-1)(SI), prev1        \
	VGF2P8AFFINEQB $0, Z16, prev1, tmp       \
	VPANDD         Z11, prev1, prev1         \
	VGF2P8AFFINEQB $0, Z16, cur, cur         \
	VPSHUFB        tmp, Z8, tmp              \
	VPSHUFB        prev1, Z9, prev1          \
	VPSHUFB        cur, Z10, cur             \
	VPTERNLOGD     $0x80, prev1, tmp, cur    \
	VPSUBUSB       Z12, prev3, prev3         \
	VPMAXUB        (off-2)(SI), prev3, prev3 \
	VPSUBUSB       Z13, prev3, prev3         \
	VPTERNLOGD     $0x78, Z14, prev3, cur    \
	VPORD          cur, Z15, Z15

// func followsAVX512(p []byte) bool
TEXT ·followsAVX512(SB), NOSPLIT, $0-25
	MOVQ            p_base+0(FP), SI
	MOVQ            p_len+8(FP), CX
	LEAQ            (SI)(CX*1), R9
	LEAQ            -128(R9), R8 // where the last two blocks are
	ADDQ            $3, SI
	VBROADCASTI32X4 ·pairs+0(SB), Z8
	VBROADCASTI32X4 ·pairs+16(SB), Z9
	VBROADCASTI32X4 ·pairs+32(SB), Z10
	VPBROADCASTD    bytes512<>+0(SB), Z11
	VPBROADCASTD    bytes512<>+4(SB), Z12
	VPBROADCASTD    bytes512<>+8(SB), Z13
	VPBROADCASTD    bytes512<>+12(SB), Z14
	VPBROADCASTQ    bytes512<>+16(SB), Z16
	VPXORD          Z15, Z15, Z15

	// Two blocks at a time. The last two lie where they end with p, however
	// much they overlap what has been checked.
loop:
	VMOVDQU64 (SI), Z2
	VMOVDQU64 64(SI), Z3
	VMOVDQU64 -3(SI), Z0
	VPORD     Z2, Z3, Z4
	VPMOVB2M  Z4, K1
	KORTESTQ  K1, K1
	JEQ       ascii

check:
	VMOVDQU64 61(SI), Z1
	CHECK(0, Z2, Z0, Z4, Z5)
	CHECK(64, Z3, Z1, Z6, Z7)

next:
	CMPQ    SI, R8
	JAE     done
	SUBQ    $-128, SI
	CMPQ    SI, R8
	CMOVQHI R8, SI
	JMP     loop

	// Two blocks of ASCII, which need no check if they follow three bytes of
	// it. Then see whether there are two blocks more.
ascii:
	VPMOVB2M Z0, K1
	KMOVD    K1, AX
	TESTL    $7, AX
	JNZ      check

more:
	LEAQ      256(SI), AX
	CMPQ      AX, R9
	JA        next
	VMOVDQU64 128(SI), Z0
	VPORD     192(SI), Z0, Z0
	VPMOVB2M  Z0, K1
	KORTESTQ  K1, K1
	JNE       next
	SUBQ      $-128, SI
	JMP       more

done:
	VPTESTMB Z15, Z15, K1
	KORTESTQ K1, K1
	SETEQ    ret+24(FP)
	VZEROUPPER
	RET
