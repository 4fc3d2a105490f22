

xPlaceholder*
T0

yMatMul*
T0

stealReadFile*
T0