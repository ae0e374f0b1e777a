"""Written by tools/polynomials.py (minimax polynomials and split constants); do not edit."""

# LOG2: parts of the constant, largest first.
LOG2 = (
    float.fromhex("0x1.62e42fefa39efp-1"),  # 0.6931471805599453
    float.fromhex("0x1.abc9e3b39803fp-56"),  # 2.3190468138462996e-17
)

# LOG2_EXACT: parts of the constant, largest first.
LOG2_EXACT = (
    float.fromhex("0x1.62e42fefa3800p-1"),  # 0.6931471805598903
    float.fromhex("0x1.ef35793c76730p-45"),  # 5.497923018708371e-14
)

# TWO_THIRDS: parts of the constant, largest first.
TWO_THIRDS = (
    float.fromhex("0x1.5555555555555p-1"),  # 0.6666666666666666
    float.fromhex("0x1.5555555555555p-55"),  # 3.700743415417188e-17
)

# HALF_PI: parts of the constant, largest first.
HALF_PI = (
    float.fromhex("0x1.921fb54442d18p+0"),  # 1.5707963267948966
    float.fromhex("0x1.1a62633200000p-54"),  # 6.12323399667708e-17
    float.fromhex("-0x1.747f23e32ed70p-87"),  # -9.403137205957857e-27
)

# (exp(r) - 1 - r)/r^2 for |r| <= log(2)/2
# relative error 2^-58.4
EXP_DOUBLE = (
    float.fromhex("0x1.0000000000001p-1"),  # 0.5000000000000001
    float.fromhex("0x1.5555555555557p-3"),  # 0.1666666666666667
    float.fromhex("0x1.5555555554d3fp-5"),  # 0.0416666666666523
    float.fromhex("0x1.11111111100e9p-7"),  # 0.008333333333326158
    float.fromhex("0x1.6c16c16f098acp-10"),  # 0.001388888889559274
    float.fromhex("0x1.a01a01abe134ap-13"),  # 0.00019841269874745277
    float.fromhex("0x1.a019f39928543p-16"),  # 2.4801574543991246e-05
    float.fromhex("0x1.71de02452cd6fp-19"),  # 2.7557255487199027e-06
    float.fromhex("0x1.2802222f28364p-22"),  # 2.756792438305998e-07
    float.fromhex("0x1.af4dc3dd58100p-26"),  # 2.510518358944667e-08
    float.fromhex("0x1.e633b7a9208bap-30"),  # 1.7687926490513236e-09
)

# (exp(r) - 1 - r)/r^2 for |r| <= log(2)/2
# relative error 2^-31.8
EXP_SINGLE = (
    float.fromhex("0x1.0000002d8609fp-1"),  # 0.5000000052996433
    float.fromhex("0x1.555555a6386afp-3"),  # 0.1666666690207896
    float.fromhex("0x1.55549f19837f4p-5"),  # 0.0416663272300041
    float.fromhex("0x1.11101e143a5dep-7"),  # 0.00833322018339094
    float.fromhex("0x1.6d832aa4d754bp-10"),  # 0.0013943190362718124
    float.fromhex("0x1.a2a257bb422a4p-13"),  # 0.00019962031897359956
)

# (log((1 + s)/(1 - s)) - 2 s)/s^3 in z = s^2, for s = (sqrt(2) - 1)/(sqrt(2) + 1) at most
# relative error 2^-59.5
LOG_DOUBLE = (
    float.fromhex("0x1.5555555555592p-1"),  # 0.6666666666666734
    float.fromhex("0x1.999999997fef0p-2"),  # 0.39999999999416413
    float.fromhex("0x1.24924941e0817p-2"),  # 0.285714287420093
    float.fromhex("0x1.c71c5216784e1p-3"),  # 0.22222198611328906
    float.fromhex("0x1.74663c4abcddbp-3"),  # 0.18183562377053772
    float.fromhex("0x1.39a1fc8c58ee3p-3"),  # 0.15314099601083972
    float.fromhex("0x1.2f02db5ae0c58p-3"),  # 0.14795466776931465
)

# (log((1 + s)/(1 - s)) - 2 s)/s^3 in z = s^2, for s = (sqrt(2) - 1)/(sqrt(2) + 1) at most
# relative error 2^-30.2
LOG_SINGLE = (
    float.fromhex("0x1.55557a0c81793p-1"),  # 0.6666677608743491
    float.fromhex("0x1.995ed010cd593p-2"),  # 0.39977574446251046
    float.fromhex("0x1.31e0cf02df108p-2"),  # 0.29870913939500143
)

# (log((1 + s)/(1 - s)) - 2 s - 2/3 s^3)/s^5 in z = s^2, for the same s
# relative error 2^-66.3
LOG_REST_DOUBLE = (
    float.fromhex("0x1.9999999999b2fp-2"),  # 0.4000000000000225
    float.fromhex("0x1.2492492457fc9p-2"),  # 0.28571428570103
    float.fromhex("0x1.c71c722d31310p-3"),  # 0.22222222519317159
    float.fromhex("0x1.745ce9f5311eap-3"),  # 0.18181784419552055
    float.fromhex("0x1.3b1ee8e5ca952p-3"),  # 0.153867549431491
    float.fromhex("0x1.0f8031606678ap-3"),  # 0.1325687272590666
    float.fromhex("0x1.0e401f61249bdp-3"),  # 0.13195824160773198
)

# 1/(2 (1 + f)) for sqrt(1/2) <= 1 + f <= sqrt(2), for corrections only
# relative error 2^-9.2
HALF_RECIPROCAL_DOUBLE = (
    float.fromhex("0x1.ff50c292c619fp-2"),  # 0.4993315126498831
    float.fromhex("-0x1.02e65b027930ap-1"),  # -0.5056637230414662
    float.fromhex("0x1.1a479bec59cf8p-1"),  # 0.5513275838865459
    float.fromhex("-0x1.c65285fd56843p-2"),  # -0.4436741767764298
)

# (sin(r) - r)/r^3 in z = r^2, for |r| <= pi/4
# relative error 2^-57.9
SIN_DOUBLE = (
    float.fromhex("-0x1.5555555555548p-3"),  # -0.1666666666666663
    float.fromhex("0x1.111111110f7d0p-7"),  # 0.008333333333322118
    float.fromhex("-0x1.a01a019bfddc6p-13"),  # -0.0001984126982958868
    float.fromhex("0x1.71de3567c49fcp-19"),  # 2.7557313621109636e-06
    float.fromhex("-0x1.ae5e5a8719bcep-26"),  # -2.5050747723064573e-08
    float.fromhex("0x1.5d8fcef193ef2p-33"),  # 1.5896228044753564e-10
)

# (sin(r) - r)/r^3 in z = r^2, for |r| <= pi/4
# relative error 2^-37.5
SIN_SINGLE = (
    float.fromhex("-0x1.5555554c71bbap-3"),  # -0.16666666640796085
    float.fromhex("0x1.1111086a69c91p-7"),  # 0.008333329304902189
    float.fromhex("-0x1.a00f7f3a18cf3p-13"),  # -0.000198393123187569
    float.fromhex("0x1.6cd1f82d5b17cp-19"),  # 2.718122252323521e-06
)

# (cos(r) - 1 + r^2/2)/r^4 in z = r^2, for |r| <= pi/4
# relative error 2^-64.0
COS_DOUBLE = (
    float.fromhex("0x1.555555555554bp-5"),  # 0.041666666666666595
    float.fromhex("-0x1.6c16c16c14f92p-10"),  # -0.0013888888888873058
    float.fromhex("0x1.a01a019c845b2p-16"),  # 2.4801587288852344e-05
    float.fromhex("-0x1.27e4f7eacda9ap-22"),  # -2.755731417949031e-07
    float.fromhex("0x1.1ee9d7bb2f1c6p-29"),  # 2.0875700869269048e-09
    float.fromhex("-0x1.8fa49d6487560p-37"),  # -1.1358537978533651e-11
)

# (cos(r) - 1 + r^2/2)/r^4 in z = r^2, for |r| <= pi/4
# relative error 2^-33.0
COS_SINGLE = (
    float.fromhex("0x1.55554a129d37dp-5"),  # 0.04166664569212395
    float.fromhex("-0x1.6c0c344f45060p-10"),  # -0.0013887316634440192
    float.fromhex("0x1.99ebc645ac0bfp-16"),  # 2.4433195241869247e-05
)

# (atan(u) - u)/u^3 in z = u^2, for |u| <= 1
# relative error 2^-60.2
ATAN_DOUBLE = (
    float.fromhex("-0x1.555555555554dp-2"),  # -0.33333333333333287
    float.fromhex("0x1.9999999998c28p-3"),  # 0.19999999999990448
    float.fromhex("-0x1.2492492456ac3p-3"),  # -0.14285714285036563
    float.fromhex("0x1.c71c71b629303p-4"),  # 0.11111111086445295
    float.fromhex("-0x1.745d15d031ec6p-4"),  # -0.09090908547215823
    float.fromhex("0x1.3b139bce8d9d0p-4"),  # 0.0769229971127523
    float.fromhex("-0x1.111032676aeacp-4"),  # -0.06666583718350222
    float.fromhex("0x1.e1d48700f39b1p-5"),  # 0.0588171612540579
    float.fromhex("-0x1.aeda51693f9fap-5"),  # -0.05259433651552921
    float.fromhex("0x1.84b44d6f0bb21p-5"),  # 0.047449256170116756
    float.fromhex("-0x1.5f241a73001abp-5"),  # -0.04286389509070728
    float.fromhex("0x1.39043f2cede53p-5"),  # 0.03821003283468074
    float.fromhex("-0x1.0c93ea14a60d5p-5"),  # -0.03278537482145941
    float.fromhex("0x1.ac77bc73d2078p-6"),  # 0.026151594195909372
    float.fromhex("-0x1.30f94b8a40708p-6"),  # -0.0186141240783462
    float.fromhex("0x1.72dad7880aeb8p-7"),  # 0.011317591896008991
    float.fromhex("-0x1.6fcfa8e577348p-8"),  # -0.005612353071651928
    float.fromhex("0x1.1a02d3e42a08cp-9"),  # 0.0021515735298472446
    float.fromhex("-0x1.36d838ae87eb1p-11"),  # -0.0005928890512371857
    float.fromhex("0x1.b3aacd6125632p-14"),  # 0.00010387115391304809
    float.fromhex("-0x1.22628c1a49998p-17"),  # -8.654145905295782e-06
)

# (atan(u) - u)/u^3 in z = u^2, for |u| <= 1
# relative error 2^-31.2
ATAN_SINGLE = (
    float.fromhex("-0x1.55555104100abp-2"),  # -0.33333326899811294
    float.fromhex("0x1.9997e033f6cf9p-3"),  # 0.1999967113359629
    float.fromhex("-0x1.247373be619cap-3"),  # -0.14279833245036705
    float.fromhex("0x1.c4f1e5a6dc3ecp-4"),  # 0.11058225352986967
    float.fromhex("-0x1.68e71221a16fbp-4"),  # -0.08811099131170501
    float.fromhex("0x1.1422fd0b74114p-4"),  # 0.06741618009187206
    float.fromhex("-0x1.6e1a4de94aafbp-5"),  # -0.04469027726221061
    float.fromhex("0x1.714c63122bbb3p-6"),  # 0.022540184735301682
    float.fromhex("-0x1.df99ada0915f2p-8"),  # -0.007318119897325103
    float.fromhex("0x1.23fb7592022a3p-10"),  # 0.001113823939251337
)

# (asin(u) - u)/u^3 in z = u^2, for |u| <= 1/2
# relative error 2^-59.9
ASIN_DOUBLE = (
    float.fromhex("0x1.5555555555577p-3"),  # 0.1666666666666676
    float.fromhex("0x1.333333332e106p-4"),  # 0.07499999999970805
    float.fromhex("0x1.6db6db7213f51p-5"),  # 0.04464285717460704
    float.fromhex("0x1.f1c71a94790afp-6"),  # 0.030381942708019135
    float.fromhex("0x1.6e8bdeebad25ap-6"),  # 0.022372214980992268
    float.fromhex("0x1.1c49efa9288a8p-6"),  # 0.017351612132764288
    float.fromhex("0x1.ca1f9c7865a14p-7"),  # 0.013980819131387746
    float.fromhex("0x1.75851a25d851bp-7"),  # 0.011398923652168371
    float.fromhex("0x1.613ec998cbcb4p-7"),  # 0.01078018992993033
    float.fromhex("0x1.e5d63c23cede7p-9"),  # 0.0037066410458501567
    float.fromhex("0x1.63a5509e5b0fdp-6"),  # 0.021706894616202444
    float.fromhex("-0x1.58093ef91ffdcp-6"),  # -0.020998298165522886
    float.fromhex("0x1.0b4a33e832610p-5"),  # 0.03262815607156366
)

# (asin(u) - u)/u^3 in z = u^2, for |u| <= 1/2
# relative error 2^-31.8
ASIN_SINGLE = (
    float.fromhex("0x1.55554c5fc5fafp-3"),  # 0.16666659991528607
    float.fromhex("0x1.33387c8385c02p-4"),  # 0.07500504148661949
    float.fromhex("0x1.6caed77275a20p-5"),  # 0.04451696471703692
    float.fromhex("0x1.04916b8ba9a02p-5"),  # 0.031807622957149576
    float.fromhex("0x1.d92331420478dp-7"),  # 0.014439009715747431
    float.fromhex("0x1.3354693757213p-5"),  # 0.037515836239183774
)

# erf(x)/x - 1 in z = x^2, for |x| <= 1
# relative error 2^-62.7
ERF_DOUBLE = (
    float.fromhex("0x1.06eba8214db69p-3"),  # 0.1283791670955126
    float.fromhex("-0x1.812746b0379e6p-2"),  # -0.3761263890318375
    float.fromhex("0x1.ce2f21a042b20p-4"),  # 0.11283791670954857
    float.fromhex("-0x1.b82ce3128499cp-6"),  # -0.026866170645072893
    float.fromhex("0x1.565bcd0db02d0p-8"),  # 0.005223977624780843
    float.fromhex("-0x1.c02db3d8ecf24p-11"),  # -0.0008548326978740956
    float.fromhex("0x1.f9a321a119093p-14"),  # 0.0001205533103685894
    float.fromhex("-0x1.f4d1df3901312p-17"),  # -1.4925593506029344e-05
    float.fromhex("0x1.b9def19b12674p-20"),  # 1.646097280499223e-06
    float.fromhex("-0x1.5f1d36b05524bp-23"),  # -1.6350025112500918e-07
    float.fromhex("0x1.f7a411ab408e7p-27"),  # 1.4657879207715131e-08
    float.fromhex("-0x1.386abfd7f40bfp-30"),  # -1.13656638786972e-09
    float.fromhex("0x1.0579a9c0a4741p-34"),  # 5.945258782679347e-11
)

# erf(x)/x - 1 in z = x^2, for |x| <= 1
# relative error 2^-34.8
ERF_SINGLE = (
    float.fromhex("0x1.06eba82003d05p-3"),  # 0.12837916705800737
    float.fromhex("-0x1.8127465fb91cfp-2"),  # -0.37612638434646056
    float.fromhex("0x1.ce2f0798a1d06p-4"),  # 0.11283781974099236
    float.fromhex("-0x1.b829a7a49edc5p-6"),  # -0.026865400041499194
    float.fromhex("0x1.5628ede01b125p-8"),  # 0.005220945429851552
    float.fromhex("-0x1.bcbe99c6aa02cp-11"),  # -0.0008482828787537192
    float.fromhex("0x1.d8268d65a4a1ep-14"),  # 0.00011256947399321994
    float.fromhex("-0x1.4383fa7194e6fp-17"),  # -9.641514426984175e-06
)

# -log(erfc(1 + t)) for 1 <= 1 + t <= 6
# relative error 2^-62.3
ERFC_EXPONENT_DOUBLE = (
    float.fromhex("0x1.d97fbf27aa2a1p+0"),  # 1.8496055099332482
    float.fromhex("0x1.51c9b0006c23cp+1"),  # 2.638967514234791
    float.fromhex("0x1.afabc11a29027p-1"),  # 0.8431072563585119
    float.fromhex("0x1.5477f09c90d29p-5"),  # 0.04156109804582748
    float.fromhex("-0x1.48c9d406e1258p-7"),  # -0.010033825424906315
    float.fromhex("0x1.033f68ef19751p-9"),  # 0.001977902945827483
    float.fromhex("-0x1.f1b485ccebc04p-13"),  # -0.00023732431728037972
    float.fromhex("-0x1.b8c4539cd1b82p-16"),  # -2.6271754552522054e-05
    float.fromhex("0x1.c7690837930d9p-16"),  # 2.7144568063784027e-05
    float.fromhex("-0x1.4192a8c127597p-17"),  # -9.583618864101788e-06
    float.fromhex("0x1.101156a7b3befp-19"),  # 2.027062539023797e-06
    float.fromhex("-0x1.dced89c0c4f6ap-24"),  # -1.1104342602054879e-07
    float.fromhex("-0x1.03bd5afdbfa90p-23"),  # -1.2095070894137729e-07
    float.fromhex("0x1.173c249292c80p-24"),  # 6.501444919334249e-08
    float.fromhex("-0x1.5c96278a5eb28p-26"),  # -2.0290407168228577e-08
    float.fromhex("0x1.354feea484391p-28"),  # 4.501085424966647e-09
    float.fromhex("-0x1.8d34e4c652a2ap-31"),  # -7.22514625203741e-10
    float.fromhex("0x1.613b3efd6f06dp-34"),  # 8.031552849860132e-11
    float.fromhex("-0x1.85d2775e84e7cp-38"),  # -5.5397057100446924e-12
    float.fromhex("0x1.91b65c142bc95p-43"),  # 1.7839611677267506e-13
)

# -log(erfc(1 + t)) for 1 <= 1 + t <= 6
# relative error 2^-35.5
ERFC_EXPONENT_SINGLE = (
    float.fromhex("0x1.d97fbf282386bp+0"),  # 1.8496055100436262
    float.fromhex("0x1.51c9b00452876p+1"),  # 2.63896751605085
    float.fromhex("0x1.afabbaad2de19p-1"),  # 0.8431070648575228
    float.fromhex("0x1.547d155aa8aafp-5"),  # 0.041563550669953535
    float.fromhex("-0x1.4934e17cd8ac1p-7"),  # -0.010046587087065519
    float.fromhex("0x1.07babfe250c91p-9"),  # 0.0020120963319257353
    float.fromhex("-0x1.2fa7b8f64ff01p-12"),  # -0.0002895881329045697
    float.fromhex("0x1.6c058fd8d0c84p-16"),  # 2.16973856794864e-05
)
