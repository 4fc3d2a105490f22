rule javascript_payload {
  meta:
    id = "YARA-050"
    description = "JavaScript that starts programs or hides code"
    severity = "reject"
  strings:
    $a = "require('child_process').exec"
    $b = "require(\"child_process\").exec"
    $c = "require('child_process').spawn"
    $d = "require(\"child_process\").spawn"
    $e = "eval(String.fromCharCode("
    $f = "eval(atob("
    $g = "new Function(atob("
    $h = "process.mainModule.require("
    $i = "this.constructor.constructor('return process"
  condition: any of them
}
rule html_script {
  meta:
    id = "YARA-051"
    description = "HTML with active content"
    severity = "reject"
  strings:
    $a = "<script>fetch('http"
    $b = "<script>fetch(\"http"
    $c = "<script>document.location='http"
    $d = "<script>eval("
    $e = "<img src=x onerror="
    $f = "<svg/onload="
    $g = "<svg onload="
    $h = "document.write(unescape("
  condition: any of them
}
rule lua_payload {
  meta:
    id = "YARA-052"
    description = "Lua code that starts programs"
    severity = "reject"
  strings:
    $a = "os.execute('curl "
    $b = "os.execute(\"curl "
    $c = "os.execute('/bin/"
    $d = "os.execute(\"/bin/"
    $e = "io.popen('/bin/"
    $f = "io.popen(\"/bin/"
    $g = "package.loadlib(\"/"
    $h = "\x1bLuaS\x00\x19\x93\r\n\x1a\n"
    $i = "\x1bLuaQ\x00\x01\x04"
  condition: any of them
}
rule java_payload {
  meta:
    id = "YARA-053"
    description = "Java code or names that start programs or load remote classes"
    severity = "reject"
  strings:
    $a = "Runtime.getRuntime().exec("
    $b = "${jndi:ldap://"
    $c = "${jndi:rmi://"
    $d = "org.apache.commons.collections.functors.InvokerTransformer"
    $e = "com.sun.rowset.JdbcRowSetImpl"
    $f = "javax/management/loading/MLet"
  condition: any of them
}
rule keras_lambda {
  meta:
    id = "YARA-054"
    description = "Keras Lambda layer with packed code"
    severity = "reject"
  strings:
    $a = "\"class_name\": \"Lambda\""
    $b = "\"function_type\": \"lambda\""
    $c = "\"class_name\": \"__lambda__\""
  condition: $c or ($a and $b)
}
rule tensorflow_file_operations {
  meta:
    id = "YARA-055"
    description = "TensorFlow graph that reads or writes files"
    severity = "reject"
  strings:
    $a = "WriteFile\x12"
    $b = "ReadFile\x12"
    $c = "MatchingFiles"
    $d = "saved_model_main_op"
    $e = "tensorflow/core/"
  condition: ($a or $b or $c) and ($d or $e)
}
