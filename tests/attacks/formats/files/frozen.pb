

xPlaceholder*
T0

yMatMul*
T0