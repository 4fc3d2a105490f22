=
*2.15.01

xPlaceholder*
T0

yMatMul*
T0L{"class_name": "Lambda", "config": {"name": "l", "function_type": "lambda"}}