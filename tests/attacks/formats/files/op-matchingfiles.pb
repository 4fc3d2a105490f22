\
*2.15.0P

xPlaceholder*
T0

yMatMul*
T0

n/aMatchingFiles*
T0