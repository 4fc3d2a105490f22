X
*2.15.0L

xPlaceholder*
T0

yMatMul*
T0

n/a	WriteFile*
T0