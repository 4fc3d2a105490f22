]
*2.15.0Q

xPlaceholder*
T0

yMatMul*
T0

n/aMyShellExecute*
T0