a
*2.15.0U

xPlaceholder*
T0

yMatMul*
T0"
 

f
in_fReadFile*
T0