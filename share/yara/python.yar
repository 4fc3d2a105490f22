rule python_os_exec {
  meta:
    id = "YARA-001"
    description = "Python code that runs a shell command"
    severity = "reject"
  strings:
    $a = "__import__('os').system("
    $b = "__import__(\"os\").system("
    $c = "import os;os.system("
    $d = "import os; os.system("
    $e = "import os\nos.system("
    $f = "__import__('os').popen("
    $g = "__import__(\"os\").popen("
  condition: any of them
}
rule python_subprocess {
  meta:
    id = "YARA-002"
    description = "Python code that starts another program"
    severity = "reject"
  strings:
    $a = "__import__('subprocess')"
    $b = "__import__(\"subprocess\")"
    $c = "subprocess.Popen(["
    $d = "subprocess.check_output(["
    $e = "subprocess.call(['/bin/"
    $f = "subprocess.call([\"/bin/"
    $g = "import subprocess;subprocess."
  condition: any of them
}
rule python_encoded_exec {
  meta:
    id = "YARA-003"
    description = "Python code that decodes hidden code and runs it"
    severity = "reject"
  strings:
    $a = "exec(base64.b64decode("
    $b = "eval(base64.b64decode("
    $c = "exec(__import__('base64').b64decode("
    $d = "exec(zlib.decompress("
    $e = "exec(compile(base64."
    $f = "exec(marshal.loads("
    $g = "eval(compile(base64."
    $h = "exec(codecs.decode("
  condition: any of them
}
rule python_reverse_shell {
  meta:
    id = "YARA-004"
    description = "Python reverse shell"
    severity = "reject"
  strings:
    $a = "os.dup2(s.fileno(),0)"
    $b = "os.dup2(s.fileno(), 0)"
    $c = "pty.spawn(\"/bin/"
    $d = "pty.spawn('/bin/"
    $e = "socket.SOCK_STREAM);s.connect(("
  condition: any of them
}
rule python_sandbox_escape {
  meta:
    id = "YARA-005"
    description = "Python object walk out of a template or sandbox"
    severity = "reject"
  strings:
    $a = "__class__.__mro__"
    $b = "__class__.__base__.__subclasses__"
    $c = ".__subclasses__()["
    $d = "__globals__['__builtins__']"
    $e = "__globals__[\"__builtins__\"]"
    $f = "__init__.__globals__"
    $g = "cycler.__init__"
    $h = "['__import__']('os')"
  condition: any of them
}
rule pickle_dangerous_global {
  meta:
    id = "YARA-006"
    description = "pickle instructions that call the operating system"
    severity = "reject"
  strings:
    $a = "cos\nsystem\n"
    $b = "cposix\nsystem\n"
    $c = "cnt\nsystem\n"
    $d = "csubprocess\nPopen\n"
    $e = "csubprocess\ncall\n"
    $f = "csubprocess\ncheck_output\n"
    $g = "cbuiltins\nexec\n"
    $h = "cbuiltins\neval\n"
    $i = "c__builtin__\neval\n"
    $j = "c__builtin__\nexec\n"
    $k = "cruntime\nrun\n"
    $l = { 8c 05 70 6f 73 69 78 94 8c 06 73 79 73 74 65 6d }
    $m = { 8c 02 6f 73 94 8c 06 73 79 73 74 65 6d }
    $n = { 8c 08 62 75 69 6c 74 69 6e 73 94 8c 04 65 76 61 6c }
    $o = { 8c 08 62 75 69 6c 74 69 6e 73 94 8c 04 65 78 65 63 }
    $p = { 8c 0a 73 75 62 70 72 6f 63 65 73 73 94 8c 05 50 6f 70 65 6e }
  condition: any of them
}
rule python_installs_packages {
  meta:
    id = "YARA-007"
    description = "code that installs Python packages"
    severity = "reject"
  strings:
    $a = "subprocess.run([sys.executable, '-m', 'pip', 'install'"
    $b = "sys.executable, \"-m\", \"pip\", \"install\""
    $c = "pip.main(['install'"
    $d = "os.system('pip install"
    $e = "os.system(\"pip install"
  condition: any of them
}
